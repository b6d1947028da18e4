//! Pages of zeros given back in the background, where a program asks for it.
//!
//! 1. There is at most one thread that looks. It ends soon after it is told to; a new period is a new thread.
//! 2. It looks at the VMOs that handles lead to, one at a time, and holds no lock in between.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use zxvm_object::Object;
use zxvm_types::Status;

use crate::kernel::Kernel;

/// How the thread is told to end.
#[derive(Debug, Default)]
struct Stop {
    told: Mutex<bool>,
    changed: Condvar,
}

/// The thread that looks, if there is one.
#[derive(Debug, Default)]
pub struct ZeroScan(Mutex<Option<Arc<Stop>>>);

impl Kernel {
    /// From now on looks through all VMOs for pages of zeros every `period` and gives them back, as
    /// [`Kernel::vmo_free_zero_pages`] does; an empty period ends that. A VMO in which any were found writes by calls
    /// under a lock from then on. Not a call of Zircon's, which does this by itself.
    ///
    /// # Errors
    /// `NO_RESOURCES`: no thread can be had; nothing looks then.
    pub fn free_zero_pages_every(&'static self, period: Duration) -> Result<(), Status> {
        let mut scan = self.zero_scan.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(stop) = scan.take() {
            *stop.told.lock().unwrap_or_else(PoisonError::into_inner) = true;
            stop.changed.notify_all();
        }
        if period.is_zero() {
            return Ok(());
        }
        let stop = Arc::new(Stop::default());
        let told = stop.clone();
        let thread = std::thread::Builder::new().name("zxvm-zeros".into()).stack_size(256 << 10);
        thread.spawn(move || self.scan(period, &told)).map_err(|_| Status::NO_RESOURCES)?;
        *scan = Some(stop);
        Ok(())
    }

    fn scan(&self, period: Duration, stop: &Stop) {
        loop {
            let told = stop.told.lock().unwrap_or_else(PoisonError::into_inner);
            let waited = stop.changed.wait_timeout_while(told, period, |told| !*told);
            if *waited.unwrap_or_else(PoisonError::into_inner).0 {
                return;
            }
            self.handles.for_each(|handle| match &handle.object {
                Object::Vmo(object) => {
                    // What it is refused now it tries again next time.
                    let _ = self.space.free_zero_pages(object.vmo());
                }
                Object::Vmar(_)
                | Object::Event(_)
                | Object::EventPair(_)
                | Object::Process(_)
                | Object::Job(_)
                | Object::Pager(_)
                | Object::Port(_) => {}
            });
        }
    }
}
