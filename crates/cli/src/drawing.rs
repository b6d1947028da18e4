//! Drawings: the file that one goes to, and texts in it.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::failure::Failure;

/// The file that the drawing goes to, opened before anything takes time. Without a drawing it is as it was before.
pub struct Drawing {
    path: PathBuf,
    file: File,
    was_there: bool,
    done: bool,
}

impl Drawing {
    /// Opens it.
    pub fn create(path: &Path) -> Result<Self, Failure> {
        let was_there = path.exists();
        let file = File::options().write(true).create(true).truncate(false).open(path);
        let file = file.map_err(|error| Self::failed(path, &error))?;
        Ok(Self { path: path.to_owned(), file, was_there, done: false })
    }

    /// Writes it, if there is anything to draw.
    pub fn finish(mut self, svg: Option<String>) -> Result<(), Failure> {
        let Some(svg) = svg else { return Ok(()) };
        let written = self.file.set_len(0).and_then(|()| self.file.write_all(svg.as_bytes()));
        written.map_err(|error| Self::failed(&self.path, &error))?;
        self.done = true;
        Ok(())
    }

    fn failed(path: &Path, error: &io::Error) -> Failure {
        Failure::File { path: path.to_owned(), why: error.to_string() }
    }
}

impl Drop for Drawing {
    fn drop(&mut self) {
        if !self.done && !self.was_there {
            // Nobody can be told that it stays, empty.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// The last so many characters, if there are more.
pub fn end_of(text: &str, most: usize) -> String {
    let length = text.chars().count();
    if length <= most {
        text.to_owned()
    } else {
        format!("…{}", text.chars().skip(length - most + 1).collect::<String>())
    }
}

/// As it may stand in the document.
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            // There is no way to write these in such a document.
            '\u{0}'..='\u{1f}' | '\u{7f}' | '\u{fffe}' | '\u{ffff}' => out.push('?'),
            letter => out.push(letter),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_keeps_its_end() {
        assert_eq!(end_of("äöü", 3), "äöü");
        assert_eq!(end_of("xäöü", 3), "…öü");
    }

    #[test]
    fn names_cannot_break_the_document() {
        assert_eq!(escaped("a<b> & \u{1}\"c\""), "a&lt;b&gt; &amp; ?\"c\"");
    }
}
