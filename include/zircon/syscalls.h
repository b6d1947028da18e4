// The calls.
//
// Every call exists under two names that do the same: zx_x, and _zx_x for those who wrap zx_x. A call that returns
// zx_status_t has done nothing unless it returns ZX_OK or its description says otherwise. All may be called from any
// thread, and leave errno alone.

#ifndef ZIRCON_SYSCALLS_H_
#define ZIRCON_SYSCALLS_H_

#include <zircon/analyzer.h>
#include <zircon/string_view.h>
#include <zircon/syscalls/object.h>
#include <zircon/syscalls/types.h>
#include <zircon/types.h>

__BEGIN_CDECLS

// Declares both names. What follows the name is the parameter list, and attributes of the function if it has any.
#define __ZX_CALL(result, name, ...)   \
  extern result zx_##name __VA_ARGS__; \
  extern result _zx_##name __VA_ARGS__

// ---- Handles ----

// Closes a handle. Closing ZX_HANDLE_INVALID is fine.
__ZX_CALL(zx_status_t, handle_close, (ZX_HANDLE_RELEASE zx_handle_t handle));

// Closes all of them, even when one turns out to be bad (ZX_ERR_BAD_HANDLE).
__ZX_CALL(zx_status_t, handle_close_many, (const ZX_HANDLE_RELEASE zx_handle_t* handles, size_t num_handles));

// Makes another handle to the same object, with these rights or fewer: ZX_RIGHT_SAME_RIGHTS for all.
__ZX_CALL(zx_status_t, handle_duplicate,
          (ZX_HANDLE_USE zx_handle_t handle, zx_rights_t rights, ZX_HANDLE_ACQUIRE zx_handle_t* out));

// Trades a handle for one with these rights or fewer. The old one is gone even when the rights are refused.
__ZX_CALL(zx_status_t, handle_replace,
          (ZX_HANDLE_RELEASE zx_handle_t handle, zx_rights_t rights, ZX_HANDLE_ACQUIRE zx_handle_t* out));

// ZX_OK if there is such a handle, else ZX_ERR_BAD_HANDLE.
__ZX_CALL(zx_status_t, handle_check_valid, (ZX_HANDLE_USE zx_handle_t handle));

// ---- Any object ----

// Fills the buffer with records of the topic (ZX_INFO_*): `actual` of them, of the `avail` that there are.
// Either count may be NULL.
__ZX_CALL(zx_status_t, object_get_info,
          (ZX_HANDLE_USE zx_handle_t handle, uint32_t topic, void* buffer, size_t buffer_size, size_t* actual,
           size_t* avail));

// Asks for a property (ZX_PROP_*).
__ZX_CALL(zx_status_t, object_get_property,
          (ZX_HANDLE_USE zx_handle_t handle, uint32_t property, void* value, size_t value_size));

// Sets a property (ZX_PROP_*).
__ZX_CALL(zx_status_t, object_set_property,
          (ZX_HANDLE_USE zx_handle_t handle, uint32_t property, const void* value, size_t value_size));

// Clears signals, then sets signals, in one step. A bit in both masks ends up set.
__ZX_CALL(zx_status_t, object_signal, (ZX_HANDLE_USE zx_handle_t handle, uint32_t clear_mask, uint32_t set_mask));

// The same for the object at the other end.
__ZX_CALL(zx_status_t, object_signal_peer, (ZX_HANDLE_USE zx_handle_t handle, uint32_t clear_mask, uint32_t set_mask));

// Waits until one of the signals is active. `observed`, which may be NULL, gets all that are; on a timeout as well.
__ZX_CALL(zx_status_t, object_wait_one,
          (ZX_HANDLE_USE zx_handle_t handle, zx_signals_t signals, zx_time_t deadline, zx_signals_t* observed));

// Waits until one of the items has what it waits for. At most ZX_WAIT_MANY_MAX_ITEMS.
__ZX_CALL(zx_status_t, object_wait_many, (zx_wait_item_t* items, size_t num_items, zx_time_t deadline));

// Has one packet with this key queued in the port once one of the signals is active (ZX_WAIT_ASYNC_* for options). No
// thread waits. Closing `handle` ends the wait without a packet.
__ZX_CALL(zx_status_t, object_wait_async,
          (ZX_HANDLE_USE zx_handle_t handle, ZX_HANDLE_USE zx_handle_t port, uint64_t key, zx_signals_t signals,
           uint32_t options));

// ---- Ports: queues of packets (zircon/syscalls/port.h) ----

// Makes a port. The options are 0 or ZX_PORT_BIND_TO_INTERRUPT.
__ZX_CALL(zx_status_t, port_create, (uint32_t options, ZX_HANDLE_ACQUIRE zx_handle_t* out));

// Queues a packet, whose type becomes ZX_PKT_TYPE_USER. ZX_ERR_SHOULD_WAIT when 4,096 of them are waiting.
__ZX_CALL(zx_status_t, port_queue, (ZX_HANDLE_USE zx_handle_t handle, const zx_port_packet_t* packet));

// Takes the oldest packet. Waits for one until the deadline; one that has passed polls.
__ZX_CALL(zx_status_t, port_wait, (ZX_HANDLE_USE zx_handle_t handle, zx_time_t deadline, zx_port_packet_t* packet));

// Takes back the waits made through `source` itself with this key, and their packets. ZX_ERR_NOT_FOUND if there are none.
__ZX_CALL(zx_status_t, port_cancel,
          (ZX_HANDLE_USE zx_handle_t handle, ZX_HANDLE_USE zx_handle_t source, uint64_t key));

// Takes back all waits and packets with this key, but requests of pages. ZX_ERR_NOT_FOUND if there are none. The options
// must be 0.
__ZX_CALL(zx_status_t, port_cancel_key, (ZX_HANDLE_USE zx_handle_t handle, uint32_t options, uint64_t key));

// ---- Events ----

// Makes an event. The options must be 0.
__ZX_CALL(zx_status_t, event_create, (uint32_t options, ZX_HANDLE_ACQUIRE zx_handle_t* out));

// Makes two events that can signal each other. The options must be 0.
__ZX_CALL(zx_status_t, eventpair_create,
          (uint32_t options, ZX_HANDLE_ACQUIRE zx_handle_t* out0, ZX_HANDLE_ACQUIRE zx_handle_t* out1));

// ---- VMARs: address space. Addresses and lengths are in bytes ----

// Makes a region inside a region. `offset` counts where the options (ZX_VM_*) say so.
__ZX_CALL(zx_status_t, vmar_allocate,
          (ZX_HANDLE_USE zx_handle_t parent_vmar, zx_vm_option_t options, size_t offset, size_t size,
           ZX_HANDLE_ACQUIRE zx_handle_t* child_vmar, zx_vaddr_t* child_addr));

// Maps a part of a VMO.
__ZX_CALL(zx_status_t, vmar_map,
          (ZX_HANDLE_USE zx_handle_t handle, zx_vm_option_t options, size_t vmar_offset, ZX_HANDLE_USE zx_handle_t vmo,
           uint64_t vmo_offset, size_t len, zx_vaddr_t* mapped_addr));

// Unmaps whatever is in the range, and destroys the regions that lie wholly inside.
__ZX_CALL(zx_status_t, vmar_unmap, (ZX_HANDLE_USE zx_handle_t handle, zx_vaddr_t addr, size_t len));

// Changes what is allowed (ZX_VM_PERM_*) in a range that is mapped without a gap.
__ZX_CALL(zx_status_t, vmar_protect,
          (ZX_HANDLE_USE zx_handle_t handle, zx_vm_option_t options, zx_vaddr_t addr, size_t len));

// Unmaps everything in the region, for good: its handles stay, and are good for nothing.
__ZX_CALL(zx_status_t, vmar_destroy, (ZX_HANDLE_USE zx_handle_t handle));

// Does ZX_VMAR_OP_* to the memory mapped in the range, from low to high. What is done stays done when it fails later.
__ZX_CALL(zx_status_t, vmar_op_range,
          (ZX_HANDLE_USE zx_handle_t handle, uint32_t op, zx_vaddr_t address, size_t size, void* buffer,
           size_t buffer_size));

// Unmaps (the caller's own stack, say), closes a handle if it is not ZX_HANDLE_INVALID, and ends the calling thread.
// Returns only if the unmapping fails.
__ZX_CALL(zx_status_t, vmar_unmap_handle_close_thread_exit,
          (ZX_HANDLE_USE zx_handle_t vmar_handle, zx_vaddr_t addr, size_t size,
           ZX_HANDLE_RELEASE zx_handle_t close_handle));

// ---- VMOs: memory. Offsets and sizes are in bytes ----

// Makes a VMO that reads as zero (ZX_VMO_* for options).
__ZX_CALL(zx_status_t, vmo_create, (uint64_t size, uint32_t options, ZX_HANDLE_ACQUIRE zx_handle_t* out));

// Makes a child of a VMO: a snapshot (copy on write), a window, or the same VMO under another handle (ZX_VMO_CHILD_*).
__ZX_CALL(zx_status_t, vmo_create_child,
          (ZX_HANDLE_USE zx_handle_t handle, uint32_t options, uint64_t offset, uint64_t size,
           ZX_HANDLE_ACQUIRE zx_handle_t* out));

// Makes a VMO of physically contiguous memory for a device. There is no `bti` here to ask for one with.
__ZX_CALL(zx_status_t, vmo_create_contiguous,
          (ZX_HANDLE_USE zx_handle_t bti, size_t size, uint32_t alignment_log2, ZX_HANDLE_ACQUIRE zx_handle_t* out));

// Makes a VMO of given physical memory. There is no `resource` here to ask for one with.
__ZX_CALL(zx_status_t, vmo_create_physical,
          (ZX_HANDLE_USE zx_handle_t resource, zx_paddr_t paddr, size_t size, ZX_HANDLE_ACQUIRE zx_handle_t* out));

// Moves whole pages from one VMO to another, or within one. Where they were is zero afterwards. The options must be 0.
__ZX_CALL(zx_status_t, vmo_transfer_data,
          (ZX_HANDLE_USE zx_handle_t dst_vmo, uint32_t options, uint64_t offset, uint64_t length,
           ZX_HANDLE_USE zx_handle_t src_vmo, uint64_t src_offset));

// Copies from a VMO. Commits nothing in it.
__ZX_CALL(zx_status_t, vmo_read,
          (ZX_HANDLE_USE zx_handle_t handle, void* buffer, uint64_t offset, size_t buffer_size));

// Copies into a VMO. A part may have been written when it fails.
__ZX_CALL(zx_status_t, vmo_write,
          (ZX_HANDLE_USE zx_handle_t handle, const void* buffer, uint64_t offset, size_t buffer_size));

// The size, in whole pages.
__ZX_CALL(zx_status_t, vmo_get_size, (ZX_HANDLE_USE zx_handle_t handle, uint64_t* size));

// Sets the size of a resizable VMO, rounded up to whole pages.
__ZX_CALL(zx_status_t, vmo_set_size, (ZX_HANDLE_USE zx_handle_t handle, uint64_t size));

// How much of the VMO is content, to the byte.
__ZX_CALL(zx_status_t, vmo_get_stream_size, (ZX_HANDLE_USE zx_handle_t handle, uint64_t* size));

// Says how much of the VMO is content.
__ZX_CALL(zx_status_t, vmo_set_stream_size, (ZX_HANDLE_USE zx_handle_t handle, uint64_t size));

// Does ZX_VMO_OP_* to a range. Only ZX_VMO_OP_LOCK uses the buffer.
__ZX_CALL(zx_status_t, vmo_op_range,
          (ZX_HANDLE_USE zx_handle_t handle, uint32_t op, uint64_t offset, uint64_t size, void* buffer,
           size_t buffer_size));

// Sets ZX_CACHE_POLICY_* of a VMO that nobody has mapped.
__ZX_CALL(zx_status_t, vmo_set_cache_policy, (ZX_HANDLE_USE zx_handle_t handle, uint32_t cache_policy));

// Trades a handle for one that may be mapped executable.
__ZX_CALL(zx_status_t, vmo_replace_as_executable,
          (ZX_HANDLE_RELEASE zx_handle_t handle, ZX_HANDLE_USE zx_handle_t vmex, ZX_HANDLE_ACQUIRE zx_handle_t* out));

// ---- Pagers: programs that provide the pages of VMOs. Offsets and lengths are in bytes, whole pages ----

// Makes a pager. The options must be 0.
__ZX_CALL(zx_status_t, pager_create, (uint32_t options, ZX_HANDLE_ACQUIRE zx_handle_t* out));

// Makes a VMO whose pages this pager provides (ZX_VMO_RESIZABLE, ZX_VMO_TRAP_DIRTY). What it asks for comes as packets of
// this key through the port.
__ZX_CALL(zx_status_t, pager_create_vmo,
          (ZX_HANDLE_USE zx_handle_t pager, uint32_t options, ZX_HANDLE_USE zx_handle_t port, uint64_t key,
           uint64_t size, ZX_HANDLE_ACQUIRE zx_handle_t* out));

// Takes a VMO away from its pager. Those who wait for pages of it fail, what could be had again is dropped, and the last
// packet is sent. What is dirty stays.
__ZX_CALL(zx_status_t, pager_detach_vmo, (ZX_HANDLE_USE zx_handle_t pager, ZX_HANDLE_USE zx_handle_t vmo));

// Moves pages of `aux_vmo` into the pager's VMO, where it has none. Where they were is zero afterwards.
__ZX_CALL(zx_status_t, pager_supply_pages,
          (ZX_HANDLE_USE zx_handle_t pager, ZX_HANDLE_USE zx_handle_t pager_vmo, uint64_t offset, uint64_t length,
           ZX_HANDLE_USE zx_handle_t aux_vmo, uint64_t aux_offset));

// Does ZX_PAGER_OP_* to a range. `data` is a status, sign-extended, or options, or 0.
__ZX_CALL(zx_status_t, pager_op_range,
          (ZX_HANDLE_USE zx_handle_t pager, uint32_t op, ZX_HANDLE_USE zx_handle_t pager_vmo, uint64_t offset,
           uint64_t length, uint64_t data));

// Fills the buffer with the ranges that have to be written back (zx_vmo_dirty_range_t): `actual` of them, of the `avail`
// that there are. Either count may be NULL.
__ZX_CALL(zx_status_t, pager_query_dirty_ranges,
          (ZX_HANDLE_USE zx_handle_t pager, ZX_HANDLE_USE zx_handle_t pager_vmo, uint64_t offset, uint64_t length,
           void* buffer, size_t buffer_size, size_t* actual, size_t* avail));

// Tells whether the VMO was modified (zx_pager_vmo_stats_t), and with ZX_PAGER_RESET_VMO_STATS forgets it.
__ZX_CALL(zx_status_t, pager_query_vmo_stats,
          (ZX_HANDLE_USE zx_handle_t pager, ZX_HANDLE_USE zx_handle_t pager_vmo, uint32_t options, void* buffer,
           size_t buffer_size));

// ---- The machine ----

// Bytes in a page.
__ZX_CALL(uint32_t, system_get_page_size, (void) __CONST);

// Bytes in a line of the data cache.
__ZX_CALL(uint32_t, system_get_dcache_line_size, (void) __CONST);

// Processors that are online.
__ZX_CALL(uint32_t, system_get_num_cpus, (void));

// Bytes of memory.
__ZX_CALL(uint64_t, system_get_physmem, (void));

// Gets an event about memory (ZX_SYSTEM_EVENT_*): exactly one of them is signalled at any time.
__ZX_CALL(zx_status_t, system_get_event,
          (ZX_HANDLE_USE zx_handle_t root_job, uint32_t kind, ZX_HANDLE_ACQUIRE zx_handle_t* event));

// Which library this is. The string lives for ever.
__ZX_CALL(zx_string_view_t, system_get_version_string, (void));

// Fills a buffer with random bytes, fit for keys.
__ZX_CALL(void, cprng_draw, (void* buffer, size_t size));

// ---- Time ----

// Now, on the clock of all deadlines.
__ZX_CALL(zx_time_t, clock_get_monotonic, (void));

// The hardware counter, and its rate.
__ZX_CALL(zx_ticks_t, ticks_get, (void));
__ZX_CALL(zx_ticks_t, ticks_per_second, (void));

// So long from now, or ZX_TIME_INFINITE where that does not fit.
__ZX_CALL(zx_time_t, deadline_after, (zx_duration_t nanoseconds));

// Sleeps. At once back when the deadline is 0 or before; always ZX_OK.
__ZX_CALL(zx_status_t, nanosleep, (zx_time_t deadline));

// ---- Futexes ----

// Sleeps until woken, if *value_ptr still is current_value (else ZX_ERR_BAD_STATE).
__ZX_CALL(zx_status_t, futex_wait,
          (const zx_futex_t* value_ptr, zx_futex_t current_value, zx_handle_t new_futex_owner, zx_time_t deadline));

// Wakes that many of those who sleep on it.
__ZX_CALL(zx_status_t, futex_wake, (const zx_futex_t* value_ptr, uint32_t wake_count));

// Wakes some, and lets others sleep on at another futex, if *value_ptr still is current_value (else ZX_ERR_BAD_STATE).
__ZX_CALL(zx_status_t, futex_requeue,
          (const zx_futex_t* value_ptr, uint32_t wake_count, zx_futex_t current_value, const zx_futex_t* requeue_ptr,
           uint32_t requeue_count, zx_handle_t new_requeue_owner));

#undef __ZX_CALL

__END_CDECLS

#endif // ZIRCON_SYSCALLS_H_
