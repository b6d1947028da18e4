// Topics of zx_object_get_info with their records, and properties.
//
// A topic has the version of its record in its top four bits. The plain name is the newest version; a record with a
// version in its name goes with the topics that have the same.

#ifndef ZIRCON_SYSCALLS_OBJECT_H_
#define ZIRCON_SYSCALLS_OBJECT_H_

#include <zircon/types.h>

__BEGIN_CDECLS

#define __ZX_INFO_TOPIC(number, version) ((zx_object_info_topic_t)((number) | ((version) << 28)))

#define ZX_INFO_HANDLE_VALID __ZX_INFO_TOPIC(1u, 0u)  // no record
#define ZX_INFO_HANDLE_BASIC __ZX_INFO_TOPIC(2u, 0u)
#define ZX_INFO_PROCESS __ZX_INFO_TOPIC(3u, 1u)
#define ZX_INFO_VMAR __ZX_INFO_TOPIC(7u, 0u)
#define ZX_INFO_TASK_STATS_V1 __ZX_INFO_TOPIC(12u, 0u)
#define ZX_INFO_TASK_STATS __ZX_INFO_TOPIC(12u, 1u)
#define ZX_INFO_PROCESS_MAPS_V1 __ZX_INFO_TOPIC(13u, 0u)
#define ZX_INFO_PROCESS_MAPS_V2 __ZX_INFO_TOPIC(13u, 1u)
#define ZX_INFO_PROCESS_MAPS __ZX_INFO_TOPIC(13u, 2u) // array of zx_info_maps_t
#define ZX_INFO_PROCESS_VMOS_V1 __ZX_INFO_TOPIC(14u, 0u)
#define ZX_INFO_PROCESS_VMOS_V2 __ZX_INFO_TOPIC(14u, 1u)
#define ZX_INFO_PROCESS_VMOS_V3 __ZX_INFO_TOPIC(14u, 2u)
#define ZX_INFO_PROCESS_VMOS __ZX_INFO_TOPIC(14u, 3u) // array of zx_info_vmo_t
#define ZX_INFO_KMEM_STATS_V1 __ZX_INFO_TOPIC(17u, 0u)
#define ZX_INFO_KMEM_STATS __ZX_INFO_TOPIC(17u, 1u)
#define ZX_INFO_HANDLE_COUNT __ZX_INFO_TOPIC(19u, 0u)
#define ZX_INFO_PROCESS_HANDLE_STATS __ZX_INFO_TOPIC(21u, 0u)
#define ZX_INFO_VMO_V1 __ZX_INFO_TOPIC(23u, 0u)
#define ZX_INFO_VMO_V2 __ZX_INFO_TOPIC(23u, 1u)
#define ZX_INFO_VMO_V3 __ZX_INFO_TOPIC(23u, 2u)
#define ZX_INFO_VMO __ZX_INFO_TOPIC(23u, 3u)
#define ZX_INFO_HANDLE_TABLE __ZX_INFO_TOPIC(27u, 0u) // array of zx_info_handle_extended_t
#define ZX_INFO_VMAR_MAPS __ZX_INFO_TOPIC(36u, 0u)    // array of zx_info_maps_t

// A handle, and the object it refers to.
typedef struct zx_info_handle_basic {
  zx_koid_t koid;         // the object
  zx_rights_t rights;     // what the handle allows
  zx_obj_type_t type;     // the object's type
  zx_koid_t related_koid; // event pair: the peer; process: its job; else 0
  uint32_t reserved;
  uint8_t padding1[4];
} zx_info_handle_basic_t;

// One handle of a process.
typedef struct zx_info_handle_extended {
  zx_obj_type_t type;       // the object's type
  zx_handle_t handle_value; // the handle, as that process knows it
  zx_rights_t rights;       // what it allows
  uint32_t reserved;
  zx_koid_t koid;         // the object
  zx_koid_t related_koid; // as in zx_info_handle_basic_t
  zx_koid_t peer_owner_koid;
} zx_info_handle_extended_t;

// How many handles an object has.
typedef struct zx_info_handle_count {
  uint32_t handle_count; // the number. Mappings and children are not handles
} zx_info_handle_count_t;

// The life of a process.
typedef struct zx_info_process {
  int64_t return_code;  // what it returned, once it has
  zx_time_t start_time; // when it started, on the monotonic clock
  uint32_t flags;       // ZX_INFO_PROCESS_FLAG_*
  uint8_t padding1[4];
} zx_info_process_t;

#define ZX_INFO_PROCESS_FLAG_STARTED ((uint32_t)1u << 0)
#define ZX_INFO_PROCESS_FLAG_EXITED ((uint32_t)1u << 1)
#define ZX_INFO_PROCESS_FLAG_DEBUGGER_ATTACHED ((uint32_t)1u << 2)

// How many handles of each object type a process has.
typedef struct zx_info_process_handle_stats {
  uint32_t handle_count[ZX_OBJ_TYPE_UPPER_BOUND]; // by object type
} zx_info_process_handle_stats_t;

// Memory of a process, in bytes: all that the first version told.
typedef struct zx_info_task_stats_v1 {
  size_t mem_mapped_bytes;        // mapped, committed or not
  size_t mem_private_bytes;       // committed, and nobody else's
  size_t mem_shared_bytes;        // committed, and others' as well
  size_t mem_scaled_shared_bytes; // the shared bytes, each divided by the number of those who share it
} zx_info_task_stats_v1_t;

// Memory of a process, in bytes.
typedef struct zx_info_task_stats {
  size_t mem_mapped_bytes;                     // mapped, committed or not
  size_t mem_private_bytes;                    // committed, and nobody else's
  size_t mem_shared_bytes;                     // committed, and others' as well
  size_t mem_scaled_shared_bytes;              // the shared bytes, each divided by the number of those who share it
  uint64_t mem_fractional_scaled_shared_bytes; // what that division leaves, in units of 2^-63 byte
} zx_info_task_stats_t;

// Where a VMAR is.
typedef struct zx_info_vmar {
  zx_vaddr_t base; // its first address
  size_t len;      // its length in bytes
} zx_info_vmar_t;

// Kinds of regions.
typedef uint32_t zx_info_maps_type_t;
#define ZX_INFO_MAPS_TYPE_NONE ((zx_info_maps_type_t)0u)
#define ZX_INFO_MAPS_TYPE_ASPACE ((zx_info_maps_type_t)1u)
#define ZX_INFO_MAPS_TYPE_VMAR ((zx_info_maps_type_t)2u)
#define ZX_INFO_MAPS_TYPE_MAPPING ((zx_info_maps_type_t)3u)

// Versions 1 and 2 count pages where the newest counts bytes.

// A mapping, as the first version told it.
typedef struct zx_info_maps_mapping_v1 {
  zx_vm_option_t mmu_flags; // ZX_VM_PERM_* as they are now
  uint8_t padding1[4];
  zx_koid_t vmo_koid;       // what is mapped
  uint64_t vmo_offset;      // from where on, in bytes
  size_t committed_pages;   // pages committed in the VMO, as far as it is mapped here
} zx_info_maps_mapping_v1_t;

// A mapping, as the second version told it.
typedef struct zx_info_maps_mapping_v2 {
  zx_vm_option_t mmu_flags; // ZX_VM_PERM_* as they are now
  uint8_t padding1[4];
  zx_koid_t vmo_koid;       // what is mapped
  uint64_t vmo_offset;      // from where on, in bytes
  size_t committed_pages;   // pages committed in the VMO, as far as it is mapped here
  size_t populated_pages;   // pages committed or compressed
} zx_info_maps_mapping_v2_t;

// A mapping. Amounts are in bytes.
typedef struct zx_info_maps_mapping {
  zx_vm_option_t mmu_flags;                   // ZX_VM_PERM_* as they are now
  uint8_t padding1[4];
  zx_koid_t vmo_koid;                         // what is mapped
  uint64_t vmo_offset;                        // from where on, in bytes
  size_t committed_bytes;                     // committed in the VMO, as far as it is mapped here
  size_t populated_bytes;                     // committed or compressed
  size_t committed_private_bytes;             // of the committed: no other VMO's as well
  size_t populated_private_bytes;             // of the populated: no other VMO's as well
  size_t committed_scaled_bytes;              // the committed, each byte divided by the number of VMOs that share it
  size_t populated_scaled_bytes;              // the populated, each byte divided by the number of VMOs that share it
  uint64_t committed_fractional_scaled_bytes; // what dividing the committed leaves, in units of 2^-63 byte
  uint64_t populated_fractional_scaled_bytes; // what dividing the populated leaves, in units of 2^-63 byte
} zx_info_maps_mapping_t;

// One region of an address space, as the first version told it.
typedef struct zx_info_maps_v1 {
  char name[ZX_MAX_NAME_LEN];                     // the name of the VMO mapped, or of the region, ended by NUL
  zx_vaddr_t base;                                // first address
  size_t size;                                    // length in bytes
  size_t depth;                                   // how many regions this one is inside of
  zx_info_maps_type_t type;                       // ZX_INFO_MAPS_TYPE_*
  uint8_t padding1[4];
  union { zx_info_maps_mapping_v1_t mapping; } u; // MAPPING only; else zeros
} zx_info_maps_v1_t;

// One region of an address space, as the second version told it.
typedef struct zx_info_maps_v2 {
  char name[ZX_MAX_NAME_LEN];                     // the name of the VMO mapped, or of the region, ended by NUL
  zx_vaddr_t base;                                // first address
  size_t size;                                    // length in bytes
  size_t depth;                                   // how many regions this one is inside of
  zx_info_maps_type_t type;                       // ZX_INFO_MAPS_TYPE_*
  uint8_t padding1[4];
  union { zx_info_maps_mapping_v2_t mapping; } u; // MAPPING only; else zeros
} zx_info_maps_v2_t;

// One region of an address space.
typedef struct zx_info_maps {
  char name[ZX_MAX_NAME_LEN];                  // the name of the VMO mapped, or of the region, ended by NUL
  zx_vaddr_t base;                             // first address
  size_t size;                                 // length in bytes
  size_t depth;                                // how many regions this one is inside of
  zx_info_maps_type_t type;                    // ZX_INFO_MAPS_TYPE_*
  uint8_t padding1[4];
  union { zx_info_maps_mapping_t mapping; } u; // MAPPING only; else zeros
} zx_info_maps_t;

// Flags of VMOs.
#define ZX_INFO_VMO_TYPE_PAGED ((uint32_t)1u << 0)     // the bit that tells paged from physical
#define ZX_INFO_VMO_TYPE_PHYSICAL ((uint32_t)0u)       // physical: no flag at all
#define ZX_INFO_VMO_RESIZABLE ((uint32_t)1u << 1)      // its size can be changed
#define ZX_INFO_VMO_IS_COW_CLONE ((uint32_t)1u << 2)   // it is a copy on write
#define ZX_INFO_VMO_VIA_HANDLE ((uint32_t)1u << 3)     // the process has it by a handle
#define ZX_INFO_VMO_VIA_MAPPING ((uint32_t)1u << 4)    // the process has it by a mapping
#define ZX_INFO_VMO_PAGER_BACKED ((uint32_t)1u << 5)   // a pager supplies it, or the one it is a copy of
#define ZX_INFO_VMO_CONTIGUOUS ((uint32_t)1u << 6)     // it is physically contiguous
#define ZX_INFO_VMO_DISCARDABLE ((uint32_t)1u << 7)    // the system may drop its content
#define ZX_INFO_VMO_IMMUTABLE ((uint32_t)1u << 8)      // its content cannot be changed any more
#define ZX_INFO_VMO_VIA_IOB_HANDLE ((uint32_t)1u << 9) // the process has it by an I/O buffer

// PAGED or PHYSICAL.
#define ZX_INFO_VMO_TYPE(flags) ((flags) & ZX_INFO_VMO_TYPE_PAGED)

// Every older version is a prefix of every newer one. Amounts are in bytes.

// A VMO, as the first version told it.
typedef struct zx_info_vmo_v1 {
  zx_koid_t koid;             // the VMO
  char name[ZX_MAX_NAME_LEN]; // its name, ended by NUL
  uint64_t size_bytes;        // its size
  zx_koid_t parent_koid;      // its parent, or 0
  size_t num_children;        // its children
  size_t num_mappings;        // mappings of it
  size_t share_count;         // address spaces it is mapped in
  uint32_t flags;             // ZX_INFO_VMO_*
  uint8_t padding1[4];
  uint64_t committed_bytes;   // committed
  zx_rights_t handle_rights;  // what the handle asked about allows
  uint32_t cache_policy;      // ZX_CACHE_POLICY_*
} zx_info_vmo_v1_t;

// A VMO, as the second version told it.
typedef struct zx_info_vmo_v2 {
  zx_koid_t koid;                   // the VMO
  char name[ZX_MAX_NAME_LEN];       // its name, ended by NUL
  uint64_t size_bytes;              // its size
  zx_koid_t parent_koid;            // its parent, or 0
  size_t num_children;              // its children
  size_t num_mappings;              // mappings of it
  size_t share_count;               // address spaces it is mapped in
  uint32_t flags;                   // ZX_INFO_VMO_*
  uint8_t padding1[4];
  uint64_t committed_bytes;         // committed
  zx_rights_t handle_rights;        // what the handle asked about allows
  uint32_t cache_policy;            // ZX_CACHE_POLICY_*
  uint64_t metadata_bytes;          // used to keep track of its pages
  uint64_t committed_change_events; // how often the system itself has changed what is committed
} zx_info_vmo_v2_t;

// A VMO, as the third version told it.
typedef struct zx_info_vmo_v3 {
  zx_koid_t koid;                   // the VMO
  char name[ZX_MAX_NAME_LEN];       // its name, ended by NUL
  uint64_t size_bytes;              // its size
  zx_koid_t parent_koid;            // its parent, or 0
  size_t num_children;              // its children
  size_t num_mappings;              // mappings of it
  size_t share_count;               // address spaces it is mapped in
  uint32_t flags;                   // ZX_INFO_VMO_*
  uint8_t padding1[4];
  uint64_t committed_bytes;         // committed
  zx_rights_t handle_rights;        // what the handle asked about allows
  uint32_t cache_policy;            // ZX_CACHE_POLICY_*
  uint64_t metadata_bytes;          // used to keep track of its pages
  uint64_t committed_change_events; // how often the system itself has changed what is committed
  uint64_t populated_bytes;         // committed or compressed
} zx_info_vmo_v3_t;

// A VMO.
typedef struct zx_info_vmo {
  zx_koid_t koid;                             // the VMO
  char name[ZX_MAX_NAME_LEN];                 // its name, ended by NUL
  uint64_t size_bytes;                        // its size
  zx_koid_t parent_koid;                      // its parent, or 0
  size_t num_children;                        // its children
  size_t num_mappings;                        // mappings of it
  size_t share_count;                         // address spaces it is mapped in
  uint32_t flags;                             // ZX_INFO_VMO_*
  uint8_t padding1[4];
  uint64_t committed_bytes;                   // committed
  zx_rights_t handle_rights;                  // what the handle asked about allows
  uint32_t cache_policy;                      // ZX_CACHE_POLICY_*
  uint64_t metadata_bytes;                    // used to keep track of its pages
  uint64_t committed_change_events;           // how often the system itself has changed what is committed
  uint64_t populated_bytes;                   // committed or compressed
  uint64_t committed_private_bytes;           // of the committed: no other VMO's as well
  uint64_t populated_private_bytes;           // of the populated: no other VMO's as well
  uint64_t committed_scaled_bytes;            // the committed, each byte divided by the number of VMOs that share it
  uint64_t populated_scaled_bytes;            // the populated, each byte divided by the number of VMOs that share it
  uint64_t committed_fractional_scaled_bytes; // what dividing the committed leaves, in units of 2^-63 byte
  uint64_t populated_fractional_scaled_bytes; // what dividing the populated leaves, in units of 2^-63 byte
} zx_info_vmo_t;

// Memory of the machine, in bytes: all that the first version told.
typedef struct zx_info_kmem_stats_v1 {
  uint64_t total_bytes;        // all there is
  uint64_t free_bytes;         // in nobody's use
  uint64_t wired_bytes;        // the kernel's own, fixed
  uint64_t total_heap_bytes;   // the kernel's heap
  uint64_t free_heap_bytes;    // the part of that heap that is free
  uint64_t vmo_bytes;          // committed to VMOs
  uint64_t mmu_overhead_bytes; // page tables
  uint64_t ipc_bytes;          // messages under way
  uint64_t other_bytes;        // the rest
} zx_info_kmem_stats_v1_t;

// Memory of the machine, in bytes.
typedef struct zx_info_kmem_stats {
  uint64_t total_bytes;                    // all there is
  uint64_t free_bytes;                     // in nobody's use
  uint64_t free_loaned_bytes;              // free, and lent by contiguous VMOs
  uint64_t wired_bytes;                    // the kernel's own, fixed
  uint64_t total_heap_bytes;               // the kernel's heap
  uint64_t free_heap_bytes;                // the part of that heap that is free
  uint64_t vmo_bytes;                      // committed to VMOs
  uint64_t mmu_overhead_bytes;             // page tables
  uint64_t ipc_bytes;                      // messages under way
  uint64_t cache_bytes;                    // pages kept at hand for quick allocation
  uint64_t slab_bytes;                     // the kernel's slabs
  uint64_t zram_bytes;                     // compressed pages
  uint64_t other_bytes;                    // the rest
  uint64_t vmo_reclaim_total_bytes;        // committed to VMOs and reclaimable
  uint64_t vmo_reclaim_newest_bytes;       // of these, in the newest queue
  uint64_t vmo_reclaim_oldest_bytes;       // of these, in the oldest queue
  uint64_t vmo_reclaim_disabled_bytes;     // would be reclaimable, had it not been switched off for them
  uint64_t vmo_discardable_locked_bytes;   // in discardable VMOs that are locked
  uint64_t vmo_discardable_unlocked_bytes; // in discardable VMOs that are not
} zx_info_kmem_stats_t;

// Properties: zx_object_get_property, zx_object_set_property.
#define ZX_PROP_NAME ((uint32_t)3u)                        // the name: 32 bytes
#define ZX_PROP_REGISTER_GS ((uint32_t)2u)                 // the base of the GS segment
#define ZX_PROP_REGISTER_FS ((uint32_t)4u)                 // the base of the FS segment
#define ZX_PROP_PROCESS_DEBUG_ADDR ((uint32_t)5u)          // where a debugger finds the dynamic linker's list
#define ZX_PROP_PROCESS_VDSO_BASE_ADDRESS ((uint32_t)6u)   // where the vDSO is
#define ZX_PROP_PROCESS_BREAK_ON_LOAD ((uint32_t)7u)       // whether loading a library stops the process
#define ZX_PROP_PROCESS_HW_TRACE_CONTEXT_ID ((uint32_t)8u) // its number in hardware traces
#define ZX_PROP_SOCKET_RX_THRESHOLD ((uint32_t)12u)        // bytes that make a socket READ_THRESHOLD
#define ZX_PROP_SOCKET_TX_THRESHOLD ((uint32_t)13u)        // room that makes a socket WRITE_THRESHOLD
#define ZX_PROP_JOB_KILL_ON_OOM ((uint32_t)15u)            // whether the job goes when memory runs out
#define ZX_PROP_EXCEPTION_STATE ((uint32_t)16u)            // what closing an exception does
#define ZX_PROP_VMO_CONTENT_SIZE ((uint32_t)17u)           // the size of the content in bytes: u64
#define ZX_PROP_EXCEPTION_STRATEGY ((uint32_t)18u)         // whether a debugger is asked a second time
#define ZX_PROP_STREAM_MODE_APPEND ((uint32_t)19u)         // whether writes go to the end

__END_CDECLS

#endif // ZIRCON_SYSCALLS_OBJECT_H_
