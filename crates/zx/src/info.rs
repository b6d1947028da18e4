//! Information about objects: [`Topic`], what can be asked, and how records come back.

use core::ops::Deref;

use zerocopy::{FromBytes, IntoBytes};
use zxvm_syscall::Kernel;

use crate::sys::{self, Status, zx_handle_t};

assoc_values! {
    /// A record, or a list of them, that the engine can give about an object.
    pub struct Topic(sys::zx_object_info_topic_t) {
        /// Whether there is such a handle.
        HANDLE_VALID = sys::ZX_INFO_HANDLE_VALID;
        /// The handle and its object.
        HANDLE_BASIC = sys::ZX_INFO_HANDLE_BASIC;
        /// The life of a process.
        PROCESS = sys::ZX_INFO_PROCESS;
        /// Where a VMAR is.
        VMAR = sys::ZX_INFO_VMAR;
        /// Memory of a process.
        TASK_STATS = sys::ZX_INFO_TASK_STATS;
        /// The address space of a process, region by region.
        PROCESS_MAPS = sys::ZX_INFO_PROCESS_MAPS;
        /// The VMOs that a process holds.
        PROCESS_VMOS = sys::ZX_INFO_PROCESS_VMOS;
        /// Memory of the machine.
        KMEM_STATS = sys::ZX_INFO_KMEM_STATS;
        /// How many handles the object has.
        HANDLE_COUNT = sys::ZX_INFO_HANDLE_COUNT;
        /// How many handles of each type a process has.
        PROCESS_HANDLE_STATS = sys::ZX_INFO_PROCESS_HANDLE_STATS;
        /// A VMO.
        VMO = sys::ZX_INFO_VMO;
        /// The handles of a process.
        HANDLE_TABLE = sys::ZX_INFO_HANDLE_TABLE;
        /// A VMAR, region by region.
        VMAR_MAPS = sys::ZX_INFO_VMAR_MAPS;
    }
}

impl Deref for Topic {
    type Target = sys::zx_object_info_topic_t;

    fn deref(&self) -> &sys::zx_object_info_topic_t {
        &self.0
    }
}

/// Records that a list is first given room for.
const FIRST_ROOM: usize = 16;

/// The one record of a topic.
pub(crate) fn one<T: FromBytes + IntoBytes>(handle: zx_handle_t, topic: Topic) -> Result<T, Status> {
    let mut record = T::new_zeroed();
    let (actual, avail) = (None::<&mut usize>, None::<&mut usize>);
    Kernel::current()?.object_get_info(handle, *topic, record.as_mut_bytes().into(), actual, avail)?;
    Ok(record)
}

/// All records of a topic. Tries again as long as the list grows faster than the room for it.
pub(crate) fn many<T: FromBytes + IntoBytes>(handle: zx_handle_t, topic: Topic) -> Result<Vec<T>, Status> {
    let kernel = Kernel::current()?;
    let mut room = FIRST_ROOM;
    loop {
        let mut records = T::new_vec_zeroed(room).map_err(|_| Status::NO_MEMORY)?;
        let (mut actual, mut avail) = (0, 0);
        let bytes = records.as_mut_slice().as_mut_bytes();
        kernel.object_get_info(handle, *topic, bytes.into(), &mut actual, &mut avail)?;
        if actual == avail {
            records.truncate(actual);
            return Ok(records);
        }
        room = avail.next_power_of_two();
    }
}
