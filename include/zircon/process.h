// Handles that every process has from the start. They belong to the process: do not close them.

#ifndef ZIRCON_PROCESS_H_
#define ZIRCON_PROCESS_H_

#include <zircon/types.h>

__BEGIN_CDECLS

// This process.
zx_handle_t zx_process_self(void);
zx_handle_t _zx_process_self(void);

// The root VMAR: the part of this process's address space that the library manages.
zx_handle_t zx_vmar_root_self(void);
zx_handle_t _zx_vmar_root_self(void);

// The job of this process, which stands for the root of all jobs.
zx_handle_t zx_job_default(void);
zx_handle_t _zx_job_default(void);

__END_CDECLS

#endif // ZIRCON_PROCESS_H_
