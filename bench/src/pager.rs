//! A program that supplies pages: on zxvm, and on the bare mechanisms under it.

use std::fs::File;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::thread::JoinHandle;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::mm::{UserfaultfdFlags, userfaultfd};
use zxvm_host::user::UserRef;
use zxvm_types::*;

use crate::random;
use crate::raw::P;
use crate::zx::{RW, kernel, vmo};

/// A VMO of a pager of ours, mapped, and the thread that answers its requests.
pub struct Paged {
    /// The pager.
    pub pager: zx_handle_t,
    /// Its VMO.
    pub vmo: zx_handle_t,
    /// Where it is mapped.
    pub base: usize,
    port: zx_handle_t,
    pages: usize,
    thread: Option<JoinHandle<()>>,
}

impl Paged {
    /// Of so many pages; each request is answered with so many pages from its start on, in blocks of as many.
    pub fn new(pages: usize, options: u32, ahead: usize) -> Self {
        Self::with(pages, options, Aux::new(ahead))
    }

    /// Of so many pages of a file; each request is answered with one page.
    pub fn of_file(pages: usize, file: File) -> Self {
        let mut aux = Aux::new(1);
        aux.file = Some(file);
        Self::with(pages, 0, aux)
    }

    fn with(pages: usize, options: u32, aux: Aux) -> Self {
        let k = kernel();
        let (mut pager, mut port, mut vmo) = (0, 0, 0);
        k.pager_create(0, &mut pager).unwrap();
        k.port_create(0, &mut port).unwrap();
        k.pager_create_vmo(pager, options, port, 1, (pages * P) as u64, &mut vmo).unwrap();
        let mut base = 0;
        k.vmar_map(k.vmar_root_self(), RW, 0, vmo, 0, pages * P, &mut base).unwrap();
        let thread = std::thread::spawn(move || serve(pager, port, vmo, pages, aux));
        Self { pager, vmo, base, port, pages, thread: Some(thread) }
    }

    /// The first word of a page.
    pub fn load(&self, page: usize) -> u64 {
        random::load(self.base, page)
    }

    /// Supplies everything.
    pub fn fill(&self) {
        let mut from = Aux::new(512);
        for start in (0..self.pages).step_by(512) {
            from.supply(self.pager, self.vmo, start, 512.min(self.pages - start));
        }
    }

    /// `zx_pager_op_range` on everything.
    pub fn op(&self, op: u32) {
        kernel().pager_op_range(self.pager, op, self.vmo, 0, (self.pages * P) as u64, 0).unwrap();
    }

    /// How many dirty ranges there are.
    pub fn dirty(&self, records: &mut [zx_vmo_dirty_range_t]) -> usize {
        use zerocopy::IntoBytes;
        let (mut actual, len) = (0, (self.pages * P) as u64);
        let buffer = records.as_mut_bytes().into();
        kernel()
            .pager_query_dirty_ranges(self.pager, self.vmo, 0, len, buffer, &mut actual, None::<&mut usize>)
            .unwrap();
        actual
    }
}

impl Drop for Paged {
    fn drop(&mut self) {
        let k = kernel();
        k.vmar_unmap(k.vmar_root_self(), self.base, self.pages * P).unwrap();
        // The last packet ends the thread.
        k.handle_close(self.vmo).unwrap();
        self.thread.take().expect("once").join().unwrap();
        k.handle_close(self.pager).unwrap();
        k.handle_close(self.port).unwrap();
    }
}

/// Pages to be supplied, filled again for each time.
pub struct Aux {
    vmo: zx_handle_t,
    bytes: Vec<u8>,
    /// Where the bytes are read before each supply; without it they are always the same.
    file: Option<File>,
}

impl Aux {
    /// For at most so many pages at once.
    pub fn new(pages: usize) -> Self {
        Self { vmo: vmo(pages), bytes: vec![1; pages * P], file: None }
    }

    /// Fills them.
    pub fn fill(&mut self, count: usize) {
        kernel().vmo_write(self.vmo, UserRef::from(&self.bytes[..count * P]), 0).unwrap();
    }

    /// Fills them, and supplies pages from `start` on.
    pub fn supply(&mut self, pager: zx_handle_t, vmo: zx_handle_t, start: usize, count: usize) {
        if let Some(file) = &self.file {
            file.read_exact_at(&mut self.bytes[..count * P], (start * P) as u64).unwrap();
        }
        self.fill(count);
        self.hand_over(pager, vmo, start, count);
    }

    /// Supplies what has been filled.
    pub fn hand_over(&self, pager: zx_handle_t, vmo: zx_handle_t, start: usize, count: usize) {
        kernel().pager_supply_pages(pager, vmo, (start * P) as u64, (count * P) as u64, self.vmo, 0).unwrap();
    }
}

impl Drop for Aux {
    fn drop(&mut self) {
        kernel().handle_close(self.vmo).unwrap();
    }
}

fn serve(pager: zx_handle_t, port: zx_handle_t, vmo: zx_handle_t, pages: usize, mut aux: Aux) {
    let ahead = aux.bytes.len() / P;
    loop {
        let mut packet = zx_port_packet_t::default();
        kernel().port_wait(port, ZX_TIME_INFINITE, &mut packet).unwrap();
        let field = |at: usize| u64::from_ne_bytes(packet.union[at..at + 8].try_into().expect("8 bytes"));
        match u16::from_ne_bytes([packet.union[0], packet.union[1]]) {
            ZX_PAGER_VMO_READ => {
                let page = field(8) as usize / P;
                let start = page - page % ahead;
                aux.supply(pager, vmo, start, ahead.min(pages - start));
            }
            ZX_PAGER_VMO_DIRTY => {
                kernel().pager_op_range(pager, ZX_PAGER_OP_DIRTY, vmo, field(8), field(16), 0).unwrap();
            }
            _ => return,
        }
    }
}

const UFFDIO_API: u32 = 0xc018_aa3f;
const UFFDIO_REGISTER: u32 = 0xc020_aa00;
const UFFDIO_COPY: u32 = 0xc028_aa03;
const MISSING: u64 = 1;
const FEATURE_MISSING_SHMEM: u64 = 1 << 5;
const FEATURE_SIGBUS: u64 = 1 << 7;

fn ioctl<const N: usize>(uffd: i32, request: u32, arg: &mut [u64; N]) {
    // SAFETY: each request is called with an array as large as its record of 64-bit numbers.
    let result = unsafe { libc::ioctl(uffd, request as libc::Ioctl, arg.as_mut_ptr()) };
    // Another thread may have filled the page.
    assert!(result == 0 || std::io::Error::last_os_error().raw_os_error() == Some(libc::EEXIST), "{request:#x}");
}

fn fill(uffd: i32, page: u64, from: &[u8]) {
    ioctl(uffd, UFFDIO_COPY, &mut [page & !(P as u64 - 1), from.as_ptr() as u64, P as u64, 0, 0]);
}

fn open(features: u64, base: usize, pages: usize) -> OwnedFd {
    // SAFETY: what it can do to memory it does only after the registration below, of memory of the caller's.
    let uffd = unsafe { userfaultfd(UserfaultfdFlags::CLOEXEC | UserfaultfdFlags::NONBLOCK).unwrap() };
    ioctl(uffd.as_raw_fd(), UFFDIO_API, &mut [0xaa, FEATURE_MISSING_SHMEM | features, 0]);
    ioctl(uffd.as_raw_fd(), UFFDIO_REGISTER, &mut [base as u64, (pages * P) as u64, MISSING, 0]);
    uffd
}

/// A shared mapping of the caller's whose absent pages a thread fills, one for each fault.
pub struct BareThread {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl BareThread {
    /// Takes it over. `relayed`: the thread that hears of faults hands them to another one, which fills the pages.
    pub fn new(base: usize, pages: usize, relayed: bool) -> Self {
        let uffd = Arc::new(open(0, base, pages));
        let stop = Arc::new(AtomicBool::new(false));
        let content = vec![1; P];
        let mut threads = Vec::new();
        let act: Box<dyn FnMut(u64) + Send> = if relayed {
            let (send, faults) = channel();
            let uffd = uffd.clone();
            threads.push(std::thread::spawn(move || {
                faults.into_iter().for_each(|page| fill(uffd.as_raw_fd(), page, &content));
            }));
            Box::new(move |page| send.send(page).expect("it ends later"))
        } else {
            let uffd = uffd.clone();
            Box::new(move |page| fill(uffd.as_raw_fd(), page, &content))
        };
        threads.push(std::thread::spawn({
            let stop = stop.clone();
            move || hear(&uffd, &stop, act)
        }));
        Self { stop, threads }
    }
}

fn hear(uffd: &OwnedFd, stop: &AtomicBool, mut act: Box<dyn FnMut(u64) + Send>) {
    let tick = rustix::time::Timespec { tv_sec: 0, tv_nsec: 20_000_000 };
    while !stop.load(Ordering::Relaxed) {
        let _ = poll(&mut [PollFd::new(uffd, PollFlags::IN)], Some(&tick));
        let mut message = [0_u64; 4];
        // SAFETY: a message is 32 bytes.
        while unsafe { libc::read(uffd.as_raw_fd(), message.as_mut_ptr().cast(), 32) } == 32 {
            act(message[2]);
        }
    }
}

impl Drop for BareThread {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // The one that hears ends first, and with it what the other waits for.
        self.threads.drain(..).rev().for_each(|thread| thread.join().unwrap());
    }
}

/// A shared mapping of the caller's whose absent pages the faulting thread fills itself, in its signal handler.
pub struct BareInThread {
    _uffd: OwnedFd,
    before: libc::sigaction,
}

static UFFD: AtomicI32 = AtomicI32::new(-1);
static CONTENT: AtomicUsize = AtomicUsize::new(0);

extern "C" fn on_fault(_: libc::c_int, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
    // SAFETY: the kernel hands a valid record to a handler installed with SA_SIGINFO; the content lives for ever.
    let (page, content) = unsafe {
        let content = CONTENT.load(Ordering::Relaxed) as *const u8;
        ((*info).si_addr() as u64, std::slice::from_raw_parts(content, P))
    };
    fill(UFFD.load(Ordering::Relaxed), page, content);
}

impl BareInThread {
    /// Takes it over. One at a time.
    pub fn new(base: usize, pages: usize) -> Self {
        let uffd = open(FEATURE_SIGBUS, base, pages);
        UFFD.store(uffd.as_raw_fd(), Ordering::Relaxed);
        CONTENT.store(Box::leak(vec![1_u8; P].into_boxed_slice()).as_ptr() as usize, Ordering::Relaxed);
        // SAFETY: a handler that makes one system call; put back at the end.
        let before = unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            let mut before: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = on_fault as *const () as usize;
            action.sa_flags = libc::SA_SIGINFO | libc::SA_NODEFER;
            libc::sigaction(libc::SIGBUS, &raw const action, &raw mut before);
            before
        };
        Self { _uffd: uffd, before }
    }
}

impl Drop for BareInThread {
    fn drop(&mut self) {
        // SAFETY: what was there before.
        unsafe { libc::sigaction(libc::SIGBUS, &raw const self.before, std::ptr::null_mut()) };
    }
}
