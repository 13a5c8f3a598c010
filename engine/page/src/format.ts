// Figures as people read them.

/** bytes is a size, as 5.3 GiB. */
export function bytes(n: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let i = 0;
  for (; n >= 1024 && i < units.length - 1; i++) n /= 1024;
  return `${i && n < 100 ? n.toFixed(1) : Math.round(n)} ${units[i]}`;
}

/** duration is a time given in milliseconds, as 12 ms or 3.4 s. */
export function duration(ms: number): string {
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(ms < 10000 ? 1 : 0)} s`;
}

/** rate is how many a second, given how many in how many milliseconds. */
export function rate(n: number, ms: number): string {
  if (ms <= 0) return "–";
  const r = (n * 1000) / ms;
  return r < 10 ? r.toFixed(1) : String(Math.round(r));
}
