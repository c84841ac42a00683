/** What YCSB calls things; beside `workloads.ts`, so that the help needs nothing else. */

export type WorkloadName = 'A' | 'B' | 'C' | 'D' | 'F';

export const WORKLOAD_NAMES: readonly WorkloadName[] = ['A', 'B', 'C', 'D', 'F'];

/** Why there is no E among them. */
export const WORKLOAD_E_MISSING = 'workload E scans records in the order of their keys, and ringkv has no ordered scan';

export type OperationName = 'read' | 'update' | 'insert' | 'readModifyWrite';

export type DistributionName = 'zipfian' | 'latest' | 'uniform';

export const DISTRIBUTION_NAMES: readonly DistributionName[] = ['zipfian', 'latest', 'uniform'];
