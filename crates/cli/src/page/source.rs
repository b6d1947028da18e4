//! By which way the pager gets at the file, and whether that way was there.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;

use clap::ValueEnum;
use serde::Serialize;
use zxvm_pagers::{Backing, DirectFile, NoRing, RingFile};

/// Ways to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Way {
    /// Through the page cache, by pread and pwrite
    File,
    /// Past the page cache (O_DIRECT), many transfers at once by io_uring
    Direct,
    /// Through the page cache, large reads by io_uring
    Ring,
}

/// The file, opened for one of them.
#[derive(Clone, Debug)]
pub enum Source {
    File(Arc<File>),
    Direct(Arc<DirectFile>),
    Ring(Arc<RingFile>),
}

impl Source {
    /// Opens it: `file` again, where that serves.
    pub fn open(way: Way, path: &Path, file: File, write: bool) -> io::Result<Self> {
        Ok(match way {
            Way::File => Self::File(Arc::new(file)),
            Way::Direct => Self::Direct(Arc::new(DirectFile::open(path, write)?)),
            Way::Ring => Self::Ring(Arc::new(RingFile::new(file))),
        })
    }

    /// What a pager works with.
    pub fn backing(&self) -> Arc<dyn Backing> {
        match self {
            Self::File(file) => file.clone(),
            Self::Direct(file) => file.clone(),
            Self::Ring(file) => file.clone(),
        }
    }

    /// Where its bytes came by so far.
    pub fn access(&self) -> &'static str {
        match self {
            Self::File(_) | Self::Ring(_) => "through the page cache",
            Self::Direct(file) if file.is_direct() => "past the page cache",
            Self::Direct(_) => "through the page cache (this file system has no O_DIRECT)",
        }
    }

    /// Why io_uring is not used, where it was to be.
    pub fn no_ring(&self) -> Option<NoRing> {
        match self {
            Self::File(_) => None,
            Self::Direct(file) => file.why_not(),
            Self::Ring(file) => file.why_not(),
        }
    }
}
