//! Why a process may have no ring, and how to be a process that may not.

use std::thread;

use rustix::io::Errno;

use crate::linux::sys::KeepErrno;

/// Why there is no ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoRing {
    /// `ENOSYS`.
    #[error("this kernel has no io_uring, or a filter (seccomp) says so")]
    Absent,
    /// `EPERM`, and `kernel.io_uring_disabled` is so much.
    #[error("kernel.io_uring_disabled is {0}")]
    Disabled(u8),
    /// `EPERM`, though the kernel's setting allows it, and `EACCES`.
    #[error("a filter (seccomp) or security policy forbids io_uring to this process")]
    Forbidden,
    /// `EINVAL`: the kernel does not know what is asked for, which is from Linux 5.19.
    #[error("the io_uring of this kernel is too old")]
    TooOld,
    /// `ENOMEM`.
    #[error("no memory for a ring, or more than may be locked (RLIMIT_MEMLOCK)")]
    NoMemory,
    /// `EMFILE`, `ENFILE`.
    #[error("no file descriptor for a ring")]
    NoDescriptors,
    /// It is the ring of another process, from which this one was forked.
    #[error("the ring is the parent process's")]
    Forked,
    /// Anything else: its number.
    #[error("io_uring: error {0}")]
    Other(i32),
}

impl NoRing {
    pub(super) fn of(errno: Errno) -> Self {
        match errno {
            Errno::NOSYS => Self::Absent,
            Errno::PERM => match disabled() {
                level @ 1.. => Self::Disabled(level),
                0 => Self::Forbidden,
            },
            Errno::ACCESS => Self::Forbidden,
            Errno::INVAL => Self::TooOld,
            Errno::NOMEM => Self::NoMemory,
            Errno::MFILE | Errno::NFILE => Self::NoDescriptors,
            errno => Self::Other(errno.raw_os_error()),
        }
    }

    /// Whether this process will never have one: there is no use in asking again.
    pub fn is_final(self) -> bool {
        match self {
            Self::Absent | Self::Disabled(_) | Self::Forbidden | Self::TooOld | Self::Forked => true,
            Self::NoMemory | Self::NoDescriptors | Self::Other(_) => false,
        }
    }
}

/// The setting (Linux 6.6): 1 is for all but a group and those who administrate, 2 for all. What cannot be read forbids nothing.
fn disabled() -> u8 {
    let setting = std::fs::read_to_string("/proc/sys/kernel/io_uring_disabled");
    setting.ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0)
}

/// Does `work` on a thread to which io_uring is refused, and to all threads and processes that it starts: to see what a program
/// does in a container that allows none. Nobody else is affected.
///
/// # Panics
/// If `work` does. If the kernel has no filters.
pub fn without_rings<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    let result = thread::scope(|scope| {
        scope
            .spawn(|| {
                refuse().expect("filters of system calls");
                work()
            })
            .join()
    });
    result.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Has the kernel answer `EPERM` to this thread's calls of io_uring, for good.
fn refuse() -> rustix::io::Result<()> {
    let _errno = KeepErrno::new();
    let statement = |code: u32, k: u32| libc::sock_filter { code: code as u16, jt: 0, jf: 0, k };
    // The number of the call is the first word; the three of io_uring are next to each other on every machine.
    let jump = |code: u32, k: i64, jt: u8, jf: u8| libc::sock_filter { code: code as u16, jt, jf, k: k as u32 };
    let mut program = [
        statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0),
        jump(libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K, libc::SYS_io_uring_setup, 0, 2),
        jump(libc::BPF_JMP | libc::BPF_JGT | libc::BPF_K, libc::SYS_io_uring_register, 1, 0),
        statement(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ERRNO | libc::EPERM as u32),
        statement(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ALLOW),
    ];
    let filter = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    // SAFETY: the first call takes numbers; the second reads the program, which is ours and as long as it says. Calls that
    // are refused by it fail, which every caller of theirs reckons with.
    let done = unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1_u64, 0_u64, 0_u64, 0_u64) == 0
            && libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, 0_u32, &raw const filter) == 0
    };
    if done { Ok(()) } else { Err(Errno::from_raw_os_error(KeepErrno::get())) }
}
