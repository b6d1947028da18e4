// Rights: what a handle lets its holder do, and what the handle that a create call returns has.

#ifndef ZIRCON_RIGHTS_H_
#define ZIRCON_RIGHTS_H_

#include <stdint.h>

typedef uint32_t zx_rights_t;

#define ZX_RIGHT_NONE ((zx_rights_t)0u)
#define ZX_RIGHT_DUPLICATE ((zx_rights_t)1u << 0)       // make another handle to the object
#define ZX_RIGHT_TRANSFER ((zx_rights_t)1u << 1)        // send the handle to another process
#define ZX_RIGHT_READ ((zx_rights_t)1u << 2)            // read the content; map it readable
#define ZX_RIGHT_WRITE ((zx_rights_t)1u << 3)           // change the content; map it writable
#define ZX_RIGHT_EXECUTE ((zx_rights_t)1u << 4)         // map it executable
#define ZX_RIGHT_MAP ((zx_rights_t)1u << 5)             // map it at all
#define ZX_RIGHT_GET_PROPERTY ((zx_rights_t)1u << 6)    // ask for a property
#define ZX_RIGHT_SET_PROPERTY ((zx_rights_t)1u << 7)    // set a property
#define ZX_RIGHT_ENUMERATE ((zx_rights_t)1u << 8)       // list what is below the object, and get handles to it
#define ZX_RIGHT_DESTROY ((zx_rights_t)1u << 9)         // kill a task
#define ZX_RIGHT_SET_POLICY ((zx_rights_t)1u << 10)     // set a policy
#define ZX_RIGHT_GET_POLICY ((zx_rights_t)1u << 11)     // ask for a policy
#define ZX_RIGHT_SIGNAL ((zx_rights_t)1u << 12)         // change the user signals
#define ZX_RIGHT_SIGNAL_PEER ((zx_rights_t)1u << 13)    // change the user signals of the peer
#define ZX_RIGHT_WAIT ((zx_rights_t)1u << 14)           // wait for signals
#define ZX_RIGHT_INSPECT ((zx_rights_t)1u << 15)        // ask for information
#define ZX_RIGHT_MANAGE_JOB ((zx_rights_t)1u << 16)     // change a job
#define ZX_RIGHT_MANAGE_PROCESS ((zx_rights_t)1u << 17) // change a process
#define ZX_RIGHT_MANAGE_THREAD ((zx_rights_t)1u << 18)  // change a thread
#define ZX_RIGHT_APPLY_PROFILE ((zx_rights_t)1u << 19)  // apply a profile
#define ZX_RIGHT_MANAGE_SOCKET ((zx_rights_t)1u << 20)  // change a socket
#define ZX_RIGHT_OP_CHILDREN ((zx_rights_t)1u << 21)    // act on the regions inside a VMAR
#define ZX_RIGHT_RESIZE ((zx_rights_t)1u << 22)         // change the size of a VMO
#define ZX_RIGHT_ATTACH_VMO ((zx_rights_t)1u << 23)     // give a pager VMOs, and take them away
#define ZX_RIGHT_MANAGE_VMO ((zx_rights_t)1u << 24)     // answer for the VMOs of a pager
#define ZX_RIGHT_SAME_RIGHTS ((zx_rights_t)1u << 31)    // as an argument: those of the old handle

// Groups.
#define ZX_RIGHTS_BASIC (ZX_RIGHT_TRANSFER | ZX_RIGHT_DUPLICATE | ZX_RIGHT_WAIT | ZX_RIGHT_INSPECT)
#define ZX_RIGHTS_IO (ZX_RIGHT_READ | ZX_RIGHT_WRITE)
#define ZX_RIGHTS_PROPERTY (ZX_RIGHT_GET_PROPERTY | ZX_RIGHT_SET_PROPERTY)
#define ZX_RIGHTS_POLICY (ZX_RIGHT_GET_POLICY | ZX_RIGHT_SET_POLICY)

// What new handles have. A resizable VMO has RESIZE besides, a VMAR the READ, WRITE and EXECUTE asked for.
#define ZX_DEFAULT_VMO_RIGHTS \
  (ZX_RIGHTS_BASIC | ZX_RIGHTS_IO | ZX_RIGHTS_PROPERTY | ZX_RIGHT_MAP | ZX_RIGHT_SIGNAL)
#define ZX_DEFAULT_VMAR_RIGHTS ((ZX_RIGHTS_BASIC & ~ZX_RIGHT_WAIT) | ZX_RIGHT_OP_CHILDREN)
#define ZX_DEFAULT_PAGER_RIGHTS \
  (ZX_RIGHT_INSPECT | ZX_RIGHT_TRANSFER | ZX_RIGHT_ATTACH_VMO | ZX_RIGHT_MANAGE_VMO)
#define ZX_DEFAULT_PORT_RIGHTS ((ZX_RIGHTS_BASIC & ~ZX_RIGHT_WAIT) | ZX_RIGHTS_IO)
#define ZX_DEFAULT_EVENT_RIGHTS (ZX_RIGHTS_BASIC | ZX_RIGHT_SIGNAL)
#define ZX_DEFAULT_EVENTPAIR_RIGHTS (ZX_DEFAULT_EVENT_RIGHTS | ZX_RIGHT_SIGNAL_PEER)
#define ZX_DEFAULT_SYSTEM_EVENT_LOW_MEMORY_RIGHTS \
  (ZX_RIGHT_WAIT | ZX_RIGHT_DUPLICATE | ZX_RIGHT_TRANSFER)
#define ZX_DEFAULT_PROCESS_RIGHTS \
  (ZX_RIGHTS_BASIC | ZX_RIGHTS_IO | ZX_RIGHTS_PROPERTY | ZX_RIGHT_ENUMERATE | \
   ZX_RIGHT_DESTROY | ZX_RIGHT_SIGNAL | ZX_RIGHT_MANAGE_PROCESS | ZX_RIGHT_MANAGE_THREAD)
#define ZX_DEFAULT_JOB_RIGHTS (ZX_DEFAULT_PROCESS_RIGHTS | ZX_RIGHTS_POLICY | ZX_RIGHT_MANAGE_JOB)
#define ZX_DEFAULT_THREAD_RIGHTS \
  (ZX_RIGHTS_BASIC | ZX_RIGHTS_IO | ZX_RIGHTS_PROPERTY | ZX_RIGHT_DESTROY | ZX_RIGHT_SIGNAL | \
   ZX_RIGHT_MANAGE_THREAD)
#define ZX_DEFAULT_RESOURCE_RIGHTS \
  (ZX_RIGHT_TRANSFER | ZX_RIGHT_DUPLICATE | ZX_RIGHT_WRITE | ZX_RIGHT_INSPECT)
#define ZX_DEFAULT_BTI_RIGHTS \
  ((ZX_RIGHTS_BASIC & ~ZX_RIGHT_WAIT) | ZX_RIGHTS_IO | ZX_RIGHTS_PROPERTY | ZX_RIGHT_MAP)
#define ZX_DEFAULT_IOMMU_RIGHTS (ZX_RIGHTS_BASIC & ~ZX_RIGHT_WAIT)
#define ZX_DEFAULT_PMT_RIGHTS (ZX_RIGHT_INSPECT)
#define ZX_DEFAULT_STREAM_RIGHTS (ZX_RIGHTS_BASIC | ZX_RIGHTS_PROPERTY | ZX_RIGHT_SIGNAL)

#endif // ZIRCON_RIGHTS_H_
