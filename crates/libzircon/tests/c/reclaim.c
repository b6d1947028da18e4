// A budget for what pagers provide: set, kept, told of; what is dirty stays and is to be saved; hints; and what has gone comes back.

#include <pthread.h>
#include <stdatomic.h>

#include <zircon/syscalls/port.h>

#include "check.h"

#define KEY 0x5eed
#define LEAST 64
#define PAGES (10 * LEAST)

static zx_handle_t pager, port, vmo;
static uint8_t* memory;
static atomic_uint reads, asked, answered;

static uint8_t byte_of(uint64_t page) { return (uint8_t)(page % 251 + 1); }

// Supplies page n with byte_of(n) throughout, until a packet of ours comes.
static void* serve(void* unused) {
  (void)unused;
  uint8_t bytes[PAGE];
  for (;;) {
    zx_port_packet_t packet;
    OK(zx_port_wait(port, ZX_TIME_INFINITE, &packet));
    if (packet.type == ZX_PKT_TYPE_USER) return NULL;
    CHECK(packet.key == KEY && packet.page_request.command == ZX_PAGER_VMO_READ);
    const uint64_t offset = packet.page_request.offset, length = packet.page_request.length;
    asked++;
    reads += (unsigned)(length / PAGE);
    zx_handle_t aux = new_vmo(length, 0);
    for (uint64_t at = 0; at < length; at += PAGE) {
      memset(bytes, byte_of((offset + at) / PAGE), PAGE);
      OK(zx_vmo_write(aux, bytes, at, PAGE));
    }
    OK(zx_pager_supply_pages(pager, vmo, offset, length, aux, 0));
    OK(zx_handle_close(aux));
    answered++;
  }
}

// Whoever was answered goes on before the answer is over, in which pages may go ahead of need.
static void rest(void) {
  while (asked != answered) sched_yield();
}

static zxvm_memory_stats_t stats(void) {
  zxvm_memory_stats_t stats;
  OK(zxvm_get_memory_stats(&stats));
  CHECK(stats.resident_bytes <= stats.budget_bytes);
  return stats;
}

static uint8_t load(uint64_t page) { return ((volatile uint8_t*)memory)[page * PAGE + 7]; }

static void save(uint64_t from, uint64_t pages) {
  OK(zx_pager_op_range(pager, ZX_PAGER_OP_WRITEBACK_BEGIN, vmo, from * PAGE, pages * PAGE, 0));
  OK(zx_pager_op_range(pager, ZX_PAGER_OP_WRITEBACK_END, vmo, from * PAGE, pages * PAGE, 0));
}

static void budgets(void) {
  CHECK_EQ(stats().budget_bytes, ZXVM_BUDGET_NONE);
  EXPECT(ZX_ERR_INVALID_ARGS, zxvm_set_memory_budget(0));
  EXPECT(ZX_ERR_INVALID_ARGS, zxvm_set_memory_budget(LEAST * PAGE - 1));
  CHECK_EQ(stats().budget_bytes, ZXVM_BUDGET_NONE);
  OK(zxvm_set_memory_budget(LEAST * PAGE + 1));
  CHECK_EQ(stats().budget_bytes, LEAST * PAGE);
}

static void it_is_kept(void) {
  for (int round = 0; round < 2; round++) {
    for (uint64_t page = 0; page < PAGES; page++) {
      CHECK_EQ(load(page), byte_of(page));
      CHECK(stats().resident_bytes <= LEAST * PAGE && committed(vmo) <= LEAST * PAGE);
    }
  }
  rest();
  CHECK(pages_in_page_table(memory, PAGES * PAGE) <= LEAST);
  CHECK_EQ(committed(vmo), stats().resident_bytes);
  const zxvm_memory_stats_t now = stats();
  CHECK_EQ(now.supplied_bytes - now.evicted_bytes, now.resident_bytes);
  CHECK_EQ(now.newcomer_bytes + now.proven_bytes + now.need_not_bytes + now.need_bytes + now.dirty_bytes,
           now.resident_bytes);
  CHECK(reads == now.supplied_bytes / PAGE && now.faults >= reads && now.starved == 0);
}

static void hints(void) {
  const zx_handle_t root = zx_vmar_root_self();
  const zx_vaddr_t at = (zx_vaddr_t)memory;
  OK(zx_vmo_op_range(vmo, ZX_VMO_OP_ALWAYS_NEED, 100 * PAGE, 10 * PAGE, NULL, 0));
  CHECK_EQ(stats().need_bytes, 10 * PAGE);
  OK(zx_vmar_op_range(root, ZX_VMAR_OP_ALWAYS_NEED, at + 110 * PAGE, 10 * PAGE, NULL, 0));
  CHECK_EQ(stats().need_bytes, 20 * PAGE);
  CHECK_EQ(pages_in_page_table(memory + 110 * PAGE, 10 * PAGE), 10);
  CHECK_EQ(load(200), byte_of(200));
  CHECK_EQ(load(201), byte_of(201));
  rest();
  OK(zx_vmar_op_range(root, ZX_VMAR_OP_DONT_NEED, at + 200 * PAGE, PAGE, NULL, 0));
  OK(zx_vmo_op_range(vmo, ZX_VMO_OP_DONT_NEED, 201 * PAGE, PAGE, NULL, 0));
  CHECK_EQ(stats().need_not_bytes, 2 * PAGE);
  CHECK(!in_page_table(memory + 200 * PAGE) && !in_page_table(memory + 201 * PAGE));
  CHECK_EQ(load(200), byte_of(200));
  // All others come and go.
  for (uint64_t page = 300; page < PAGES; page++) CHECK_EQ(load(page), byte_of(page));
  CHECK_EQ(stats().need_bytes, 20 * PAGE);
  const unsigned before = reads;
  for (uint64_t page = 100; page < 120; page++) CHECK_EQ(load(page), byte_of(page));
  CHECK_EQ(reads, before);
}

static void reclaimed(void) {
  uint64_t taken = 77;
  rest();
  OK(zxvm_reclaim(0, &taken));
  CHECK_EQ(taken, 0);
  const uint64_t there = stats().resident_bytes;
  OK(zxvm_reclaim(UINT64_MAX, &taken));
  CHECK_EQ(taken, there);
  CHECK(stats().resident_bytes == 0 && committed(vmo) == 0 && pages_in_page_table(memory, PAGES * PAGE) == 0);
  CHECK_EQ(load(3), byte_of(3));
}

static bool wanted(zx_handle_t event) { return zx_object_wait_one(event, ZX_EVENT_SIGNALED, 0, NULL) == ZX_OK; }

static void* load_one(void* page) {
  CHECK_EQ(load((uintptr_t)page), byte_of((uintptr_t)page));
  return NULL;
}

static void what_is_dirty_stays(void) {
  zx_handle_t event = ZX_HANDLE_INVALID, other = ZX_HANDLE_INVALID;
  OK(zxvm_writeback_event(&event));
  OK(zxvm_writeback_event(&other));
  CHECK_EQ(rights_of(event) & (ZX_RIGHT_WAIT | ZX_RIGHT_SIGNAL), ZX_RIGHT_WAIT);
  EXPECT(ZX_ERR_ACCESS_DENIED, zx_object_signal(event, 0, ZX_EVENT_SIGNALED));
  CHECK(!wanted(event));
  for (uint64_t page = 0; page < LEAST; page++) memory[page * PAGE + 7] = 99;
  CHECK(stats().dirty_bytes == LEAST * PAGE && wanted(event) && wanted(other));
  // There is no room for anything else until something was saved.
  pthread_t thread;
  CHECK(pthread_create(&thread, NULL, load_one, (void*)(uintptr_t)500) == 0);
  while (stats().starved == 0) sched_yield();
  CHECK(committed(vmo) == LEAST * PAGE && stats().dirty_bytes == LEAST * PAGE);
  save(0, 1);
  CHECK(pthread_join(thread, NULL) == 0);
  rest();
  save(0, LEAST);
  CHECK(stats().dirty_bytes == 0 && !wanted(event));
  OK(zxvm_set_memory_budget(ZXVM_BUDGET_NONE));
  OK(zx_handle_close(event));
  OK(zx_handle_close(other));
}

int main(void) {
  OK(zx_pager_create(0, &pager));
  OK(zx_port_create(0, &port));
  OK(zx_pager_create_vmo(pager, 0, port, KEY, PAGES * PAGE, &vmo));
  memory = map_root(vmo, READ_WRITE, PAGES * PAGE);
  pthread_t server;
  CHECK(pthread_create(&server, NULL, serve, NULL) == 0);
  budgets();
  it_is_kept();
  hints();
  reclaimed();
  what_is_dirty_stays();
  const zx_port_packet_t stop = {.type = ZX_PKT_TYPE_USER};
  OK(zx_port_queue(port, &stop));
  CHECK(pthread_join(server, NULL) == 0);
  unmap_root(memory, PAGES * PAGE);
  const zx_handle_t all[] = {vmo, port, pager};
  OK(zx_handle_close_many(all, COUNT(all)));
  CHECK_EQ(stats().resident_bytes, 0);
  return 0;
}
