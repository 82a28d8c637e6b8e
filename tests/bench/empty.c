/* SPDX-License-Identifier: MIT */
/* A library that costs what any preloaded library costs. */
extern int gcpreload_bench_empty;
int gcpreload_bench_empty;
