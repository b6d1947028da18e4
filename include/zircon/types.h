// Types and constants that everything else needs: handles, objects, signals, memory.

#ifndef ZIRCON_TYPES_H_
#define ZIRCON_TYPES_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#ifndef __cplusplus
#include <stdatomic.h>
#endif

#include <zircon/compiler.h>
#include <zircon/errors.h>
#include <zircon/limits.h>
#include <zircon/rights.h>
#include <zircon/time.h>

__BEGIN_CDECLS

// A reference to an object, valid in one process.
typedef uint32_t zx_handle_t;
#define ZX_HANDLE_INVALID ((zx_handle_t)0u)
#define ZX_HANDLE_FIXED_BITS_MASK ((zx_handle_t)0x3u) // set in every valid handle

// ZX_OK or one of ZX_ERR_*.
typedef int32_t zx_status_t;

// An object's number: unique while the system runs.
typedef uint64_t zx_koid_t;
#define ZX_KOID_INVALID ((zx_koid_t)0u)
#define ZX_KOID_KERNEL ((zx_koid_t)1u)
#define ZX_KOID_FIRST ((zx_koid_t)1024u)

// Addresses: virtual, physical, physical below 4 GiB (for old programs), physical of a guest. Offsets in bytes.
typedef uintptr_t zx_vaddr_t;
typedef uintptr_t zx_paddr_t;
typedef uint32_t zx_paddr32_t;
typedef uintptr_t zx_gpaddr_t;
typedef uint64_t zx_off_t;

// Numbers of things that are described elsewhere.
typedef uint32_t zx_handle_op_t;
typedef uint32_t zx_object_info_topic_t;
typedef uint32_t zx_packet_type_t;
typedef uint32_t zx_txid_t;

// The word a futex is about.
#ifdef __cplusplus
typedef int zx_futex_t;
#else
typedef atomic_int zx_futex_t;
#endif

// Bytes of an object's name, with the NUL that ends it; items of one zx_object_wait_many.
#define ZX_MAX_NAME_LEN ((size_t)32u)
#define ZX_WAIT_MANY_MAX_ITEMS ((size_t)64u)

typedef uint32_t zx_clock_t;
#define ZX_CLOCK_MONOTONIC ((zx_clock_t)0u)
#define ZX_CLOCK_BOOT ((zx_clock_t)1u)

// Object types.
typedef uint32_t zx_obj_type_t;
#define ZX_OBJ_TYPE_NONE ((zx_obj_type_t)0u)
#define ZX_OBJ_TYPE_PROCESS ((zx_obj_type_t)1u)
#define ZX_OBJ_TYPE_THREAD ((zx_obj_type_t)2u)
#define ZX_OBJ_TYPE_VMO ((zx_obj_type_t)3u)
#define ZX_OBJ_TYPE_CHANNEL ((zx_obj_type_t)4u)
#define ZX_OBJ_TYPE_EVENT ((zx_obj_type_t)5u)
#define ZX_OBJ_TYPE_PORT ((zx_obj_type_t)6u)
#define ZX_OBJ_TYPE_INTERRUPT ((zx_obj_type_t)9u)
#define ZX_OBJ_TYPE_PCI_DEVICE ((zx_obj_type_t)11u)
#define ZX_OBJ_TYPE_DEBUGLOG ((zx_obj_type_t)12u)
#define ZX_OBJ_TYPE_LOG ZX_OBJ_TYPE_DEBUGLOG         // the old name
#define ZX_OBJ_TYPE_SOCKET ((zx_obj_type_t)14u)
#define ZX_OBJ_TYPE_RESOURCE ((zx_obj_type_t)15u)
#define ZX_OBJ_TYPE_EVENTPAIR ((zx_obj_type_t)16u)
#define ZX_OBJ_TYPE_JOB ((zx_obj_type_t)17u)
#define ZX_OBJ_TYPE_VMAR ((zx_obj_type_t)18u)
#define ZX_OBJ_TYPE_FIFO ((zx_obj_type_t)19u)
#define ZX_OBJ_TYPE_GUEST ((zx_obj_type_t)20u)
#define ZX_OBJ_TYPE_VCPU ((zx_obj_type_t)21u)
#define ZX_OBJ_TYPE_TIMER ((zx_obj_type_t)22u)
#define ZX_OBJ_TYPE_IOMMU ((zx_obj_type_t)23u)
#define ZX_OBJ_TYPE_BTI ((zx_obj_type_t)24u)
#define ZX_OBJ_TYPE_PROFILE ((zx_obj_type_t)25u)
#define ZX_OBJ_TYPE_PMT ((zx_obj_type_t)26u)
#define ZX_OBJ_TYPE_SUSPEND_TOKEN ((zx_obj_type_t)27u)
#define ZX_OBJ_TYPE_PAGER ((zx_obj_type_t)28u)
#define ZX_OBJ_TYPE_EXCEPTION ((zx_obj_type_t)29u)
#define ZX_OBJ_TYPE_CLOCK ((zx_obj_type_t)30u)
#define ZX_OBJ_TYPE_STREAM ((zx_obj_type_t)31u)
#define ZX_OBJ_TYPE_MSI ((zx_obj_type_t)32u)
#define ZX_OBJ_TYPE_IOB ((zx_obj_type_t)33u)
#define ZX_OBJ_TYPE_COUNTER ((zx_obj_type_t)34u)
#define ZX_OBJ_TYPE_IOB_SHARED_REGION ((zx_obj_type_t)35u)
#define ZX_OBJ_TYPE_UPPER_BOUND ((zx_obj_type_t)64u) // all are below

// Signals: bits 0 to 23 belong to the system, 24 to 31 to the program.
typedef uint32_t zx_signals_t;
#define ZX_SIGNAL_NONE ((zx_signals_t)0u)

#define ZX_USER_SIGNAL_ALL ((zx_signals_t)0xff000000u)
#define ZX_USER_SIGNAL_0 ((zx_signals_t)1u << 24)
#define ZX_USER_SIGNAL_1 ((zx_signals_t)1u << 25)
#define ZX_USER_SIGNAL_2 ((zx_signals_t)1u << 26)
#define ZX_USER_SIGNAL_3 ((zx_signals_t)1u << 27)
#define ZX_USER_SIGNAL_4 ((zx_signals_t)1u << 28)
#define ZX_USER_SIGNAL_5 ((zx_signals_t)1u << 29)
#define ZX_USER_SIGNAL_6 ((zx_signals_t)1u << 30)
#define ZX_USER_SIGNAL_7 ((zx_signals_t)1u << 31)

#define __ZX_OBJECT_SIGNAL_ALL ((zx_signals_t)0x00ffffffu)
#define __ZX_OBJECT_READABLE ((zx_signals_t)1u << 0)
#define __ZX_OBJECT_WRITABLE ((zx_signals_t)1u << 1)
#define __ZX_OBJECT_PEER_CLOSED ((zx_signals_t)1u << 2)
#define __ZX_OBJECT_SIGNALED ((zx_signals_t)1u << 3)
#define __ZX_OBJECT_SIGNAL_4 ((zx_signals_t)1u << 4)
#define __ZX_OBJECT_SIGNAL_5 ((zx_signals_t)1u << 5)
#define __ZX_OBJECT_SIGNAL_6 ((zx_signals_t)1u << 6)
#define __ZX_OBJECT_SIGNAL_7 ((zx_signals_t)1u << 7)
#define __ZX_OBJECT_SIGNAL_8 ((zx_signals_t)1u << 8)
#define __ZX_OBJECT_SIGNAL_9 ((zx_signals_t)1u << 9)
#define __ZX_OBJECT_SIGNAL_10 ((zx_signals_t)1u << 10)
#define __ZX_OBJECT_SIGNAL_11 ((zx_signals_t)1u << 11)
#define __ZX_OBJECT_SIGNAL_12 ((zx_signals_t)1u << 12)
#define __ZX_OBJECT_SIGNAL_13 ((zx_signals_t)1u << 13)
#define __ZX_OBJECT_SIGNAL_14 ((zx_signals_t)1u << 14)
#define __ZX_OBJECT_SIGNAL_15 ((zx_signals_t)1u << 15)
#define __ZX_OBJECT_SIGNAL_16 ((zx_signals_t)1u << 16)
#define __ZX_OBJECT_SIGNAL_17 ((zx_signals_t)1u << 17)
#define __ZX_OBJECT_SIGNAL_18 ((zx_signals_t)1u << 18)
#define __ZX_OBJECT_SIGNAL_19 ((zx_signals_t)1u << 19)
#define __ZX_OBJECT_SIGNAL_20 ((zx_signals_t)1u << 20)
#define __ZX_OBJECT_SIGNAL_21 ((zx_signals_t)1u << 21)
#define __ZX_OBJECT_SIGNAL_22 ((zx_signals_t)1u << 22)
#define __ZX_OBJECT_HANDLE_CLOSED ((zx_signals_t)1u << 23)

#define ZX_SIGNAL_HANDLE_CLOSED __ZX_OBJECT_HANDLE_CLOSED // only in the result of a cancelled wait

#define ZX_EVENT_SIGNALED __ZX_OBJECT_SIGNALED
#define ZX_EVENT_SIGNAL_MASK (ZX_USER_SIGNAL_ALL | __ZX_OBJECT_SIGNALED)

#define ZX_EVENTPAIR_SIGNALED __ZX_OBJECT_SIGNALED
#define ZX_EVENTPAIR_PEER_CLOSED __ZX_OBJECT_PEER_CLOSED
#define ZX_EVENTPAIR_SIGNAL_MASK (ZX_USER_SIGNAL_ALL | __ZX_OBJECT_SIGNALED | __ZX_OBJECT_PEER_CLOSED)

#define ZX_VMO_ZERO_CHILDREN __ZX_OBJECT_SIGNALED
#define ZX_TIMER_SIGNALED __ZX_OBJECT_SIGNALED
#define ZX_TASK_TERMINATED __ZX_OBJECT_SIGNALED
#define ZX_PROCESS_TERMINATED __ZX_OBJECT_SIGNALED
#define ZX_THREAD_TERMINATED __ZX_OBJECT_SIGNALED
#define ZX_JOB_TERMINATED __ZX_OBJECT_SIGNALED

// One of the objects of zx_object_wait_many: what to wait for, and what was active in the end.
typedef struct zx_wait_item {
  zx_handle_t handle;
  zx_signals_t waitfor;
  zx_signals_t pending;
} zx_wait_item_t;

// Options of mappings and VMARs.
typedef uint32_t zx_vm_option_t;
#define ZX_VM_PERM_READ ((zx_vm_option_t)1u << 0)                     // readable
#define ZX_VM_PERM_WRITE ((zx_vm_option_t)1u << 1)                    // writable; needs PERM_READ too
#define ZX_VM_PERM_EXECUTE ((zx_vm_option_t)1u << 2)                  // executable; needs PERM_READ too
#define ZX_VM_COMPACT ((zx_vm_option_t)1u << 3)                       // keep what is placed in the region together
#define ZX_VM_SPECIFIC ((zx_vm_option_t)1u << 4)                      // place exactly at the offset
#define ZX_VM_SPECIFIC_OVERWRITE ((zx_vm_option_t)1u << 5)            // as SPECIFIC, replacing mappings
#define ZX_VM_CAN_MAP_SPECIFIC ((zx_vm_option_t)1u << 6)              // region: SPECIFIC is allowed in it
#define ZX_VM_CAN_MAP_READ ((zx_vm_option_t)1u << 7)                  // region: readable mappings are
#define ZX_VM_CAN_MAP_WRITE ((zx_vm_option_t)1u << 8)                 // region: writable mappings are
#define ZX_VM_CAN_MAP_EXECUTE ((zx_vm_option_t)1u << 9)               // region: executable mappings are
#define ZX_VM_MAP_RANGE ((zx_vm_option_t)1u << 10)                    // fill the page tables at once
#define ZX_VM_REQUIRE_NON_RESIZABLE ((zx_vm_option_t)1u << 11)        // refuse resizable VMOs
#define ZX_VM_ALLOW_FAULTS ((zx_vm_option_t)1u << 12)                 // accept that an access may fail
#define ZX_VM_OFFSET_IS_UPPER_LIMIT ((zx_vm_option_t)1u << 13)        // end at or below the offset
#define ZX_VM_PERM_READ_IF_XOM_UNSUPPORTED ((zx_vm_option_t)1u << 14) // readable where needed for execute
#define ZX_VM_FAULT_BEYOND_STREAM_SIZE ((zx_vm_option_t)1u << 15)     // fault past the stream size

// Alignment: its base-two logarithm in the top byte.
#define ZX_VM_ALIGN_BASE ((zx_vm_option_t)24u)
#define ZX_VM_ALIGN_1KB ((zx_vm_option_t)10u << ZX_VM_ALIGN_BASE)
#define ZX_VM_ALIGN_2KB ((zx_vm_option_t)11u << ZX_VM_ALIGN_BASE)
#define ZX_VM_ALIGN_4KB ((zx_vm_option_t)12u << ZX_VM_ALIGN_BASE)
#define ZX_VM_ALIGN_8KB ((zx_vm_option_t)13u << ZX_VM_ALIGN_BASE)
#define ZX_VM_ALIGN_16KB ((zx_vm_option_t)14u << ZX_VM_ALIGN_BASE)
#define ZX_VM_ALIGN_32KB ((zx_vm_option_t)15u << ZX_VM_ALIGN_BASE)
#define ZX_VM_ALIGN_64KB ((zx_vm_option_t)16u << ZX_VM_ALIGN_BASE)
#define ZX_VM_ALIGN_128KB ((zx_vm_option_t)17u << ZX_VM_ALIGN_BASE)
#define ZX_VM_ALIGN_256KB ((zx_vm_option_t)18u << ZX_VM_ALIGN_BASE)
#define ZX_VM_ALIGN_512KB ((zx_vm_option_t)19u << ZX_VM_ALIGN_BASE)
#define ZX_VM_ALIGN_1MB ((zx_vm_option_t)20u << ZX_VM_ALIGN_BASE)
#define ZX_VM_ALIGN_2MB ((zx_vm_option_t)21u << ZX_VM_ALIGN_BASE)
#define ZX_VM_ALIGN_4MB ((zx_vm_option_t)22u << ZX_VM_ALIGN_BASE)
#define ZX_VM_ALIGN_8MB ((zx_vm_option_t)23u << ZX_VM_ALIGN_BASE)
#define ZX_VM_ALIGN_16MB ((zx_vm_option_t)24u << ZX_VM_ALIGN_BASE)
#define ZX_VM_ALIGN_32MB ((zx_vm_option_t)25u << ZX_VM_ALIGN_BASE)
#define ZX_VM_ALIGN_64MB ((zx_vm_option_t)26u << ZX_VM_ALIGN_BASE)
#define ZX_VM_ALIGN_128MB ((zx_vm_option_t)27u << ZX_VM_ALIGN_BASE)
#define ZX_VM_ALIGN_256MB ((zx_vm_option_t)28u << ZX_VM_ALIGN_BASE)
#define ZX_VM_ALIGN_512MB ((zx_vm_option_t)29u << ZX_VM_ALIGN_BASE)
#define ZX_VM_ALIGN_1GB ((zx_vm_option_t)30u << ZX_VM_ALIGN_BASE)
#define ZX_VM_ALIGN_2GB ((zx_vm_option_t)31u << ZX_VM_ALIGN_BASE)
#define ZX_VM_ALIGN_4GB ((zx_vm_option_t)32u << ZX_VM_ALIGN_BASE)

// Old names of the first twelve.
#define ZX_VM_FLAG_PERM_READ ((uint32_t)ZX_VM_PERM_READ)
#define ZX_VM_FLAG_PERM_WRITE ((uint32_t)ZX_VM_PERM_WRITE)
#define ZX_VM_FLAG_PERM_EXECUTE ((uint32_t)ZX_VM_PERM_EXECUTE)
#define ZX_VM_FLAG_COMPACT ((uint32_t)ZX_VM_COMPACT)
#define ZX_VM_FLAG_SPECIFIC ((uint32_t)ZX_VM_SPECIFIC)
#define ZX_VM_FLAG_SPECIFIC_OVERWRITE ((uint32_t)ZX_VM_SPECIFIC_OVERWRITE)
#define ZX_VM_FLAG_CAN_MAP_SPECIFIC ((uint32_t)ZX_VM_CAN_MAP_SPECIFIC)
#define ZX_VM_FLAG_CAN_MAP_READ ((uint32_t)ZX_VM_CAN_MAP_READ)
#define ZX_VM_FLAG_CAN_MAP_WRITE ((uint32_t)ZX_VM_CAN_MAP_WRITE)
#define ZX_VM_FLAG_CAN_MAP_EXECUTE ((uint32_t)ZX_VM_CAN_MAP_EXECUTE)
#define ZX_VM_FLAG_MAP_RANGE ((uint32_t)ZX_VM_MAP_RANGE)
#define ZX_VM_FLAG_REQUIRE_NON_RESIZABLE ((uint32_t)ZX_VM_REQUIRE_NON_RESIZABLE)

// zx_vmar_op_range. Numbers are those of the VMO operations, except 3.
#define ZX_VMAR_OP_COMMIT ((uint32_t)1u)       // commit the absent pages
#define ZX_VMAR_OP_DECOMMIT ((uint32_t)2u)     // give the pages back: they read as zero
#define ZX_VMAR_OP_MAP_RANGE ((uint32_t)3u)    // enter the committed pages in the page tables
#define ZX_VMAR_OP_ZERO ((uint32_t)10u)        // make all bytes zero
#define ZX_VMAR_OP_DONT_NEED ((uint32_t)12u)   // hint: these pages will not be used soon
#define ZX_VMAR_OP_ALWAYS_NEED ((uint32_t)13u) // hint: keep these pages
#define ZX_VMAR_OP_PREFETCH ((uint32_t)14u)    // bring the pages in

// zx_vmo_create
#define ZX_VMO_RESIZABLE ((uint32_t)1u << 1)   // the size can be changed
#define ZX_VMO_DISCARDABLE ((uint32_t)1u << 2) // the system may drop the content while nobody has it locked
#define ZX_VMO_TRAP_DIRTY ((uint32_t)1u << 3)  // with a pager: ask it before a clean page is written
#define ZX_VMO_UNBOUNDED ((uint32_t)1u << 4)   // as large as can be

// Kinds of children, and their options.
#define ZX_VMO_CHILD_SNAPSHOT ((uint32_t)1u << 0)                   // what the parent holds now, as a copy on write
#define ZX_VMO_CHILD_RESIZABLE ((uint32_t)1u << 2)                  // the size can be changed
#define ZX_VMO_CHILD_SLICE ((uint32_t)1u << 3)                      // a window of the parent
#define ZX_VMO_CHILD_SNAPSHOT_AT_LEAST_ON_WRITE ((uint32_t)1u << 4) // pages not yet written may still follow the parent
#define ZX_VMO_CHILD_NO_WRITE ((uint32_t)1u << 5)                   // the handle gets no WRITE
#define ZX_VMO_CHILD_REFERENCE ((uint32_t)1u << 6)                  // the same VMO under another handle
#define ZX_VMO_CHILD_SNAPSHOT_MODIFIED ((uint32_t)1u << 7)          // copy on write of what the parent has modified

// zx_vmo_op_range. 5 is not used.
#define ZX_VMO_OP_COMMIT ((uint32_t)1u)                 // commit the absent pages
#define ZX_VMO_OP_DECOMMIT ((uint32_t)2u)               // give the pages back: they read as zero
#define ZX_VMO_OP_LOCK ((uint32_t)3u)                   // fills in a zx_vmo_lock_state_t
#define ZX_VMO_OP_UNLOCK ((uint32_t)4u)                 // undo one lock
#define ZX_VMO_OP_CACHE_SYNC ((uint32_t)6u)             // make instruction fetches see what was written
#define ZX_VMO_OP_CACHE_INVALIDATE ((uint32_t)7u)       // drop the cache without writing it back
#define ZX_VMO_OP_CACHE_CLEAN ((uint32_t)8u)            // write the cache back
#define ZX_VMO_OP_CACHE_CLEAN_INVALIDATE ((uint32_t)9u) // write the cache back, then drop it
#define ZX_VMO_OP_ZERO ((uint32_t)10u)                  // make all bytes zero
#define ZX_VMO_OP_TRY_LOCK ((uint32_t)11u)              // as lock, unless the content has been discarded already
#define ZX_VMO_OP_DONT_NEED ((uint32_t)12u)             // hint: these pages will not be used soon
#define ZX_VMO_OP_ALWAYS_NEED ((uint32_t)13u)           // hint: keep these pages
#define ZX_VMO_OP_PREFETCH ((uint32_t)14u)              // bring the pages in

// What a lock says about what was lost, in bytes.
typedef struct zx_vmo_lock_state {
  uint64_t offset;
  uint64_t size;
  uint64_t discarded_offset;
  uint64_t discarded_size;
} zx_vmo_lock_state_t;

// Cache policies.
#define ZX_CACHE_POLICY_CACHED ((uint32_t)0u)          // ordinary memory
#define ZX_CACHE_POLICY_UNCACHED ((uint32_t)1u)        // past the cache
#define ZX_CACHE_POLICY_UNCACHED_DEVICE ((uint32_t)2u) // as a device's registers
#define ZX_CACHE_POLICY_WRITE_COMBINING ((uint32_t)3u) // past the cache, writes may be joined
#define ZX_CACHE_POLICY_MASK ((uint32_t)3u)            // the bits of a policy

// zx_pager_op_range
#define ZX_PAGER_OP_FAIL ((uint32_t)1u)            // the pages cannot be had: the status is in the data
#define ZX_PAGER_OP_DIRTY ((uint32_t)2u)           // the pages may be written
#define ZX_PAGER_OP_WRITEBACK_BEGIN ((uint32_t)3u) // writeback of the pages starts
#define ZX_PAGER_OP_WRITEBACK_END ((uint32_t)4u)   // writeback of the pages is done

// A run of pages that have to be written back. Offset and length in bytes.
typedef struct zx_vmo_dirty_range {
  uint64_t offset;
  uint64_t length;
  uint64_t options;
} zx_vmo_dirty_range_t;

#define ZX_VMO_DIRTY_RANGE_IS_ZERO ((uint64_t)1u) // dirty, and all zeros

// What a pager may ask about one of its VMOs, and the option to start anew.
typedef struct zx_pager_vmo_stats {
  uint32_t modified;
} zx_pager_vmo_stats_t;

#define ZX_PAGER_VMO_STATS_MODIFIED ((uint32_t)1u)
#define ZX_PAGER_RESET_VMO_STATS ((uint32_t)1u)

// Events of the system about memory.
typedef uint32_t zx_system_event_type_t;
#define ZX_SYSTEM_EVENT_OUT_OF_MEMORY ((zx_system_event_type_t)1u)
#define ZX_SYSTEM_EVENT_MEMORY_PRESSURE_CRITICAL ((zx_system_event_type_t)2u)
#define ZX_SYSTEM_EVENT_MEMORY_PRESSURE_WARNING ((zx_system_event_type_t)3u)
#define ZX_SYSTEM_EVENT_MEMORY_PRESSURE_NORMAL ((zx_system_event_type_t)4u)
#define ZX_SYSTEM_EVENT_IMMINENT_OUT_OF_MEMORY ((zx_system_event_type_t)5u)

// A piece of the caller's memory.
typedef struct zx_iovec {
  void* buffer;
  size_t capacity;
} zx_iovec_t;

__END_CDECLS

#endif // ZIRCON_TYPES_H_
