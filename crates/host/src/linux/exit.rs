//! A file of this process that is removed when the process ends by itself.
//!
//! 1. Only the file that was named is removed, not another that has taken its place.
//! 2. Nothing is removed in a child, which ends as well: the file is its parent's.
//! 3. A process that is killed leaves it.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, Once, PoisonError};

/// A file, as it was when it was named, and whose it is.
#[derive(Clone, Debug)]
pub struct OwnFile {
    path: PathBuf,
    device: u64,
    inode: u64,
    process: u32,
}

impl OwnFile {
    /// The file at `path` is this process's.
    ///
    /// # Errors
    /// There is none.
    pub fn new(path: &Path) -> io::Result<Self> {
        let metadata = path.symlink_metadata()?;
        let (device, inode) = (metadata.dev(), metadata.ino());
        // The folder that this process is in may be another by then.
        Ok(Self { path: std::path::absolute(path)?, device, inode, process: std::process::id() })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Removes it, if it is there still and this process's.
    pub fn remove(&self) {
        let is_it = |now: Self| (now.device, now.inode) == (self.device, self.inode);
        if self.process == std::process::id() && Self::new(&self.path).is_ok_and(is_it) {
            // Where the folder does not let it go it stays.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

static FILE: Mutex<Option<OwnFile>> = Mutex::new(None);

extern "C" fn remove() {
    // The thread that has the lock may be gone (in a child), or be interrupted by the end.
    if let Ok(file) = FILE.try_lock()
        && let Some(file) = &*file
    {
        file.remove();
    }
}

/// The file is to be removed at the end of this process; `None`: none is. The last call counts.
pub fn remove_at_exit(file: Option<OwnFile>) {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: the handler stays where it is as long as the process: the library is never unloaded. No memory: the file stays.
        unsafe { libc::atexit(remove) };
    });
    *FILE.lock().unwrap_or_else(PoisonError::into_inner) = file;
}
