//! Standard output: whole texts at once, with colour only on a terminal that wants it.

use std::io::{self, Write};

/// Prints the text. A reader that has gone away (`| head`) is no error.
pub fn print(text: &str) -> io::Result<()> {
    let mut stdout = anstream::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

/// Prints the value as a JSON document.
pub fn print_json(value: &impl serde::Serialize) -> io::Result<()> {
    let text = serde_json::to_string_pretty(value)?;
    print(&(text + "\n"))
}
