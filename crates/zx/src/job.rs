//! [`Job`]: what processes are in.

object_type! {
    /// A group of processes; here always the one this process is in, see [`job_default`](crate::runtime::job_default).
    pub struct Job;
}
