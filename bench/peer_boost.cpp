/* SPDX-License-Identifier: Apache-2.0 */
/* needs: boost */
/* Boost.Interprocess' rbtree_best_fit under the trace of bench_allocator: books within the segment,
 * and no lock, as ours have none in private memory. */
#include "allocator_trace.h"

#include <boost/interprocess/indexes/iset_index.hpp>
#include <boost/interprocess/managed_external_buffer.hpp>
#include <boost/interprocess/mem_algo/rbtree_best_fit.hpp>
#include <boost/interprocess/sync/mutex_family.hpp>

#include <cstdlib>
#include <new>

namespace bi = boost::interprocess;

using segment = bi::basic_managed_external_buffer<
    char, bi::rbtree_best_fit<bi::null_mutex_family, bi::offset_ptr<void>>, bi::iset_index>;

static segment *managed;
static const std::size_t segment_bytes = std::size_t{2} << 30;

static int open_segment()
{
    void *memory = std::aligned_alloc(4096, segment_bytes);
    if (memory == nullptr)
        return 1;
    managed = new segment(bi::create_only, memory, segment_bytes);
    return 0;
}

static std::uint64_t alloc(std::size_t size_bytes)
{
    void *memory = managed->allocate(size_bytes, std::nothrow);
    return memory == nullptr ? UINT64_MAX : reinterpret_cast<std::uint64_t>(memory);
}

static void give(std::uint64_t handle, std::size_t)
{
    managed->deallocate(reinterpret_cast<void *>(handle));
}

static unsigned char *memory_of(std::uint64_t handle)
{
    return reinterpret_cast<unsigned char *>(handle);
}

int main()
{
    static const trace_allocator allocator = {
        "Boost rbtree_best_fit", open_segment, alloc, give, memory_of, nullptr};
    return trace_serve(&allocator);
}
