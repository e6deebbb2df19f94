// The cluster's status as it comes twice a second, and a little of its past for the small curves.
const KEPT = 60;

export const cluster = {
  status: null,
  connection: "lost",
  error: null,
  changes: [], // {time, leader, term}
  past: new Map(), // member -> {commit: [], rate: [], fsync: []}
  at: 0,

  take(status) {
    const now = Date.now();
    if (this.status && status.leader && status.leader !== this.changes.at(-1)?.leader) this.noteLeader(status, now);
    if (!this.status) this.noteLeader(status, now);
    for (const member of status.members) this.remember(member, (now - this.at) / 1000);
    this.status = status;
    this.at = now;
  },

  noteLeader(status, now) {
    if (status.leader) this.changes = [...this.changes, { at: now, leader: status.leader, term: status.term }].slice(-20);
  },

  remember(member, seconds) {
    if (!this.past.has(member.name)) this.past.set(member.name, { last: null, rate: [], fsync: [] });
    const past = this.past.get(member.name);
    if (!member.reachable) {
      past.last = null;
      return;
    }
    if (past.last !== null && seconds > 0) past.rate = [...past.rate, Math.max(0, member.commitIndex - past.last) / seconds].slice(-KEPT);
    past.last = member.commitIndex;
    past.fsync = [...past.fsync, member.fsyncMs?.p99 ?? 0].slice(-KEPT);
  },
};
