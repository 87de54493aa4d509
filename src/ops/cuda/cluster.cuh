// Clusters: blocks that run side by side and write into each other's shared memory. Compute capability 9.0.
#pragma once

#include "ptx.cuh"

// The block's number within its cluster.
__device__ __forceinline__ unsigned block_in_cluster() {
  unsigned rank;
  asm("mov.u32 %0, %%cluster_ctarank;" : "=r"(rank));
  return rank;
}

// Says that the block is where it is; all threads of all blocks do. What they wrote before is not made known.
__device__ __forceinline__ void cluster_arrive() { asm volatile("barrier.cluster.arrive.relaxed.aligned;" ::: "memory"); }
// Waits until all threads of all blocks of the cluster have arrived.
__device__ __forceinline__ void cluster_wait() { asm volatile("barrier.cluster.wait.acquire.aligned;" ::: "memory"); }

// A barrier in shared memory that opens once, when `bytes` have been written by `send_16`; one thread makes it.
__device__ __forceinline__ void await_bytes(uint64_t *barrier, unsigned bytes) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], 1;" ::"r"(shared_address(barrier)) : "memory");
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(shared_address(barrier)), "r"(bytes) : "memory");
}
// Makes barriers known to the cluster, before `cluster_arrive`.
__device__ __forceinline__ void publish_barriers() { asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory"); }

// Waits until the barrier's bytes are there.
__device__ __forceinline__ void wait_for_bytes(uint64_t *barrier) {
  asm volatile("{\n.reg .pred there;\nagain:\nmbarrier.try_wait.parity.acquire.cluster.shared::cta.b64 there, [%0], 0;\n@!there bra again;\n}" ::"r"(shared_address(barrier)) : "memory");
}

// Writes 16 bytes to the place and barrier of a block of the cluster that lie in it where `to` and `barrier` lie in this one.
__device__ __forceinline__ void send_16(const void *to, const uint64_t *barrier, unsigned block, uint4 value) {
  asm volatile("{\n.reg .b32 there, then;\nmapa.shared::cluster.u32 there, %0, %2;\nmapa.shared::cluster.u32 then, %1, %2;\n"
               "st.async.weak.shared::cluster.mbarrier::complete_tx::bytes.v4.b32 [there], {%3, %4, %5, %6}, [then];\n}" ::"r"(shared_address(to)), "r"(shared_address(barrier)), "r"(block), "r"(value.x), "r"(value.y), "r"(value.z), "r"(value.w)
               : "memory");
}
