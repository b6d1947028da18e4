//! The file that a command shows its work on.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::failure::Failure;
use crate::table::size;

/// The file that was named, or this program itself.
pub fn named_or_self(file: Option<&Path>) -> Result<PathBuf, Failure> {
    Ok(match file {
        Some(path) => path.to_owned(),
        None => std::env::current_exe()?,
    })
}

/// The bytes of a regular file that has at most `max`.
pub fn load(path: &Path, max: u64) -> Result<Vec<u8>, Failure> {
    let failed = |why: String| Failure::File { path: path.to_owned(), why };
    let told = |error: io::Error| failed(error.to_string());
    let file = File::open(path).map_err(told)?;
    let metadata = file.metadata().map_err(told)?;
    if !metadata.is_file() {
        return Err(failed("not a regular file".to_owned()));
    }
    let too_large = || failed(format!("too large: it is in memory more than once here, and may have {}", size(max)));
    if metadata.len() > max {
        return Err(too_large());
    }
    // Files of /proc say that they are empty and are not.
    let mut content = Vec::with_capacity(metadata.len() as usize);
    file.take(max.saturating_add(1)).read_to_end(&mut content).map_err(told)?;
    if content.len() as u64 > max { Err(too_large()) } else { Ok(content) }
}
