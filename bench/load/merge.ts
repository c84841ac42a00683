/** What several load generators measured at the same time on the same server, as if one had. */
import { LatencyHistogram, mergedPercentiles } from './latency.ts';
import type { Measurement } from './plan.ts';

/**
 * Operations and the generators' CPU time are added, histograms merged. All of them asked for the server's CPU time, in
 * windows that differ by no more than the moment they began; it is set against the operations of all.
 */
export function mergeMeasurements(measurements: readonly Measurement[]): Measurement {
  const [first, ...others] = measurements;
  if (first === undefined) throw new RangeError('no measurements to merge');
  if (others.length === 0) return first;
  const all = measurements.map(({ figures }) => figures);
  const sum = (of: (figures: Measurement['figures']) => number): number => all.reduce((sum, one) => sum + of(one), 0);
  const { seconds, serverCores, serverUserMicrosPerOp, serverMicrosPerOp } = first.figures;
  const opsPerSecond = sum((one) => one.opsPerSecond);
  const generatorCores = sum((one) => one.generatorCores);
  const allServerMicrosPerOp = (serverCores * 1e6) / opsPerSecond;
  // How the server's time splits is as the first one saw it.
  const userMicrosPerOp =
    serverMicrosPerOp === 0 ? 0 : allServerMicrosPerOp * (serverUserMicrosPerOp / serverMicrosPerOp);
  return {
    batch: first.batch,
    figures: {
      seconds,
      operations: sum((one) => one.operations),
      opsPerSecond,
      valueBytesPerSecond: sum((one) => one.valueBytesPerSecond),
      serverUserMicrosPerOp: userMicrosPerOp,
      serverSystemMicrosPerOp: allServerMicrosPerOp - userMicrosPerOp,
      serverMicrosPerOp: allServerMicrosPerOp,
      generatorMicrosPerOp: (generatorCores * 1e6) / opsPerSecond,
      serverCores,
      generatorCores,
      serverPeakBytes: Math.max(...all.map((one) => one.serverPeakBytes)),
    },
    latency: LatencyHistogram.merged(measurements.map(({ latency }) => latency)).encode(),
    percentiles: mergedPercentiles(measurements),
    // All of them saw the same device.
    ...(first.loopbackBytesPerSecond === undefined ? {} : { loopbackBytesPerSecond: first.loopbackBytesPerSecond }),
  };
}
