// The formats of docs/formats, from those pages alone and Node's standard library: what holds, and what does not.
//
// Every check throws with a reason; nothing here names the kind of damage.

import { resolve } from "node:path";
import { gunzipSync } from "node:zlib";

import { fromBase64, hashOf, hex, need, parseStrict, sha256 } from "./bytes.mjs";
import { addEntry, checkOpening, checkRecord, parseRecord } from "./records.mjs";
import { checkSigned, goodTrees, newestOf, openEnvelope, openSigned, parseNote } from "./signatures.mjs";

const PROOF_TYPE = "application/vnd.counterfoil.proof.v1+json";
const REPORT_TYPE = "application/vnd.counterfoil.verification-report.v1+json";
const SEGMENT_TYPE = "application/vnd.counterfoil.segment.v1+json";
const SHA256 = /^[0-9a-f]{64}$/;

export const leafHash = (data) => sha256(Buffer.of(0), data);
const nodeHash = (left, right) => sha256(Buffer.of(1), left, right);
const half = (...numbers) => numbers.map((number) => Math.floor(number / 2));

// --- the tree, RFC 6962 and RFC 9162

export function checkInclusion(leaf, index, size, path, root) {
  need(index < size, "the leaf is not in the tree");
  let [found, at, last] = [leaf, index, size - 1];
  for (const sibling of path) {
    need(last > 0, "the path is too long");
    const isRight = at % 2 === 1 || at === last;
    found = isRight ? nodeHash(sibling, found) : nodeHash(found, sibling);
    while (isRight && at % 2 === 0 && at > 0) [at, last] = half(at, last);
    [at, last] = half(at, last);
  }
  need(last === 0 && found.equals(root), "the path leads to another root");
}

export function checkConsistency(oldSize, oldRoot, newSize, newRoot, path) {
  need(oldSize > 0 && oldSize <= newSize, "nothing is proved from size 0, nor backwards");
  if (oldSize === newSize) return need(!path.length && oldRoot.equals(newRoot), "equal sizes, equal roots, no path");
  const nodes = [...path];
  if (Number.isInteger(Math.log2(oldSize))) nodes.unshift(oldRoot);
  need(nodes.length > 0, "the path is empty");
  let [at, last] = [oldSize - 1, newSize - 1];
  while (at % 2 === 1) [at, last] = half(at, last);
  let [oldFound, newFound] = [nodes[0], nodes[0]];
  for (const sibling of nodes.slice(1)) {
    need(last > 0, "the path is too long");
    const isRight = at % 2 === 1 || at === last;
    if (isRight) oldFound = nodeHash(sibling, oldFound);
    newFound = isRight ? nodeHash(sibling, newFound) : nodeHash(newFound, sibling);
    while (isRight && at % 2 === 0 && at > 0) [at, last] = half(at, last);
    [at, last] = half(at, last);
  }
  need(last === 0 && oldFound.equals(oldRoot) && newFound.equals(newRoot), "the path leads to other roots");
}

export class Tree {
  constructor(size, peaks) {
    this.size = 0;
    this.peaks = []; // [level, hash], largest first
    for (let level = 52; level >= 0; level -= 1) {
      if (Math.floor(size / 2 ** level) % 2 === 1) this.peaks.push([level, peaks[this.peaks.length]]);
    }
    need(this.peaks.length === peaks.length, "the frontier does not fit its size");
    this.size = size;
  }

  append(leaf) {
    let [level, hash] = [0, leaf];
    while (this.peaks.length > 0 && this.peaks.at(-1)[0] === level) {
      hash = nodeHash(this.peaks.pop()[1], hash);
      level += 1;
    }
    this.peaks.push([level, hash]);
    this.size += 1;
  }

  root() {
    if (this.peaks.length === 0) return sha256(Buffer.alloc(0));
    return this.peaks.map(([, hash]) => hash).reduceRight((found, peak) => nodeHash(peak, found));
  }
}

// --- segments, docs/formats/segment.md

export const checkSegment = (files, trust, folder = null) => checkRun([{ files, folder }], trust).at(-1);

// Check segments that follow each other, by the newest registry among theirs. What a stolen key signed counts up to the
// last tree that counts: one that another key signed, or that the registry states.
export function checkRun(parts, trust) {
  const parsed = parts.map(({ files, folder }) => {
    const envelopes = files["keys.jsonl"].toString("utf-8").split("\n").filter(Boolean).map((line) => JSON.parse(line));
    const note = parseNote(files.checkpoint.toString("utf-8"));
    return { files, folder, note, envelopes };
  });
  const newest = newestOf(trust, parsed.map(({ envelopes }) => envelopes), parsed[0].note.origin);
  const accounts = new Map();
  const done = parsed.map((part) => checkOne(part, newest, accounts));
  done.slice(1).forEach((next, index) => {
    const before = done[index];
    need(next.manifest.first_seq === before.size && next.before.equals(before.root), "the segments do not join");
    need(next.manifest.previous.manifest_sha256 === before.digest, "it follows another manifest");
    need(next.manifest.chain.first_prev === before.manifest.chain.last_leaf, "it follows another record");
    need(next.first === null || next.first > before.last, "its first record is not later than the one before");
  });
  const seen = done.flatMap((part) => part.seen);
  const shown = Math.max(-1, ...seen, ...done.filter(({ doubtful }) => !doubtful).map(({ size }) => size));
  // A manifest that counts leads back to those before it; up to what the registry states, their tree is enough.
  const named = Math.max(-1, ...seen, ...done.filter(({ unsure }) => !unsure).map(({ manifest }) => manifest.first_seq));
  for (const { doubtful, unsure, size } of done) {
    need(!(doubtful || unsure) || size <= shown, "a stolen key signed it, and nothing shows its tree");
    need(!unsure || size <= named, "a stolen key signed its manifest, and no later one names it");
  }
  return done;
}

// The form of a manifest: what it says is held against the rest afterwards.
function checkManifest(manifest) {
  const { origin, book, segment, closed_on, first_seq, next_seq, entries, totals, objects, chain, tree } = manifest;
  need(manifest.schema === "cf-segment/1", "a manifest of another schema");
  need(/^[a-z0-9.-]{1,253}\/[a-z]{1,32}\/[a-z0-9][a-z0-9_-]{0,62}$/.test(origin), "an origin of another form");
  need(/^[a-z0-9][a-z0-9_-]{0,62}$/.test(book) && /^\d{4}-\d{2}-\d{2}$/.test(closed_on), "book or day of another form");
  need([segment, first_seq, next_seq, entries].every((count) => Number.isSafeInteger(count) && count >= 0), "a count");
  need(new Set(totals.map(({ currency }) => currency)).size === totals.length, "two totals of one currency");
  need(SHA256.test(chain.first_prev) && SHA256.test(chain.last_leaf), "the chain is not of hashes");
  need(tree.before.size === first_seq && tree.after.size === next_seq && next_seq >= first_seq, "sizes contradict");
  const listed = objects.map(({ name }) => name).sort();
  const without = ["checkpoint", "keys.jsonl", "records.jsonl.gz"];
  const asListed = listed.join();
  need([without, ["checkpoint", "checkpoint.tsr", ...without.slice(1)]].some((names) => names.join() === asListed),
    "the manifest does not list the other files");
}

function checkOne({ files, folder, note }, registry, accounts) {
  const signed = checkSigned(note, registry);
  const { payload, doubtful: unsure } = openSigned(JSON.parse(files["manifest.dsse.json"]), SEGMENT_TYPE, signed);
  const { doubtful } = signed;
  const manifest = parseStrict(payload);
  checkManifest(manifest);
  need(manifest.origin === note.origin, "a manifest of another log");
  need(folder === null || checkPlace(folder, manifest), "the folder is not where the manifest belongs");
  const { version, sha256: named } = manifest.key_registry;
  need(version < registry.version || (version === registry.version && named === registry.digest), "another registry");
  need(manifest.next_seq === note.size && manifest.tree.after.size === note.size, "manifest and checkpoint differ in size");
  need(hashOf(manifest.tree.after.root).equals(note.root), "manifest and checkpoint differ in root");
  for (const { name, bytes, sha256: digest } of manifest.objects) {
    need(files[name] && files[name].length === bytes, `${name} is not there, or of another length`);
    need(sha256(files[name]).toString("hex") === digest, `${name} is not the file that the manifest lists`);
  }
  const tree = new Tree(manifest.first_seq, manifest.tree.before.frontier.map(hashOf));
  const before = tree.root();
  need(before.equals(hashOf(manifest.tree.before.root)), "the frontier is not that of the tree before");
  need(tree.size > 0 || manifest.chain.first_prev === "0".repeat(64), "the first segment does not start from nothing");
  const { consistency } = manifest.tree;
  if (consistency.length > 0) checkConsistency(tree.size, before, note.size, note.root, consistency.map(hashOf));
  const good = new Map(goodTrees(registry, note.origin));
  const seen = [];
  const look = () => {
    if (!good.has(tree.size)) return;
    need(good.get(tree.size).equals(tree.root()), "the registry states another tree of that size");
    seen.push(tree.size);
  };
  look();
  const totals = new Map();
  let [prev, after, entries, earliest] = [hex(manifest.chain.first_prev), "", 0, null];
  const content = gunzipSync(files["records.jsonl.gz"]);
  for (const line of linesOf(content)) {
    const record = checkRecord(line, { seq: tree.size, prev, after, book: manifest.book });
    need((record.kind === "book") === (record.seq === 0), "seq 0, and no other, opens the book");
    need(record.kind !== "book" || record.body.origin === note.origin, "the book was opened as another log");
    if (record.kind === "journal_entry") {
      addEntry(record.body, totals, accounts);
      entries += 1;
    }
    prev = leafHash(line);
    after = record.recorded_at;
    earliest ??= after;
    tree.append(prev);
    look();
  }
  need(tree.size === note.size && tree.root().equals(note.root), "the records are not those that were signed");
  need(prev.toString("hex") === manifest.chain.last_leaf && entries === manifest.entries, "the manifest counts otherwise");
  need(["", manifest.cutoff].includes(after), "the manifest names another last moment");
  const summed = [...totals].sort(([one], [two]) => (one < two ? -1 : 1));
  const stated = manifest.totals.map(({ currency, debits, credits }) => `${currency} ${debits} ${credits}`);
  need(stated.join() === summed.map(([name, sums]) => `${name} ${sums.debit} ${sums.credit}`).join(), "the totals differ");
  const digest = sha256(payload).toString("hex");
  const records = tree.size - manifest.first_seq;
  const packed = manifest.objects.find(({ name }) => name === "records.jsonl.gz");
  need(packed.lines === records && packed.content_bytes === content.length, "the records' file holds something else");
  const ends = { first: earliest, last: after };
  return { ...ends, origin: note.origin, records, entries, size: tree.size, root: note.root, doubtful, unsure, seen, manifest, before, digest };
}

// The path is signed: compared upwards as far as it spells the layout, dates and all.
function checkPlace(folder, { origin, segment, closed_on, first_seq, next_seq }) {
  const [name, ...above] = resolve(folder).split("/").reverse();
  const wanted = `${String(segment).padStart(10, "0")}-${first_seq}-${next_seq}`;
  const [day, month, year] = closed_on.split("-").reverse();
  const spelt = above.slice(0, 4).map((part, at) => [/^\d\d$/, /^\d\d$/, /^\d{4}$/, /^segments$/][at].test(part));
  const isDated = spelt[0] && spelt[1] && spelt[2];
  need(name === wanted || !(isDated || /^\d{10,16}-\d+-\d+$/.test(name)), "the folder has another name");
  if (isDated && above.slice(0, 3).join() !== [day, month, year].join()) return false;
  const [book, env, domain] = above.slice(4, 7);
  const place = origin.split("/");
  return !(isDated && spelt[3]) || (domain !== place[0] && env !== place[1]) || `${domain}/${env}/${book}` === origin;
}

function* linesOf(data) {
  let start = 0;
  for (let end = data.indexOf(10); end >= 0; end = data.indexOf(10, start)) {
    yield data.subarray(start, end);
    start = end + 1;
  }
  need(start === data.length, "the last line has no end");
}

// --- proofs, docs/formats/proof.md

export function checkTlogProof(text, trust, envelopes) {
  const cut = text.indexOf("\n\n");
  const [header, ...lines] = text.slice(0, cut).split("\n");
  need(cut > 0 && header === "c2sp.org/tlog-proof@v1", "not a proof of this form");
  need(lines[0]?.startsWith("extra "), "not a proof that carries its record");
  const data = fromBase64(lines.shift().slice("extra ".length));
  const index = /^index (0|[1-9][0-9]*)$/.exec(lines.shift());
  need(index && lines.length <= 63, "a proof names its index, and a path that a tree can have");
  const note = parseNote(text.slice(cut + 2));
  const { doubtful } = checkSigned(note, newestOf(trust, [envelopes], note.origin));
  need(!doubtful, "a stolen key signed it, and nothing shows its tree");
  checkProved(data, Number(index[1]), lines, note);
}

function checkProved(data, seq, path, note, openings = {}) {
  checkInclusion(leafHash(data), seq, note.size, path.map(hashOf), note.root);
  const record = parseRecord(data);
  need(record.seq === seq && record.book === note.origin.split("/")[2], "the record states another place");
  if (record.kind === "journal_entry") addEntry(record.body, new Map());
  for (const [name, { salt, value }] of Object.entries(openings)) {
    need(/^[0-9a-f]{32}$/.test(salt), "a salt is 16 bytes in hex");
    checkOpening(record.body, name, Buffer.from(salt, "hex"), value);
  }
}

// What a bundle says of itself can only make it worse; without a record it proves nothing. It comes bare, or signed.
export function checkBundle(given, trust) {
  const isSigned = given.payloadType !== undefined;
  const bundle = isSigned ? JSON.parse(fromBase64(given.payload)) : given;
  const note = parseNote(bundle.checkpoint);
  const registry = newestOf(trust, [bundle.keys], note.origin);
  const signed = checkSigned(note, registry);
  const { doubtful } = signed;
  if (isSigned) openSigned(given, PROOF_TYPE, signed);
  need(bundle.schema === "cf-proof/1" && bundle.origin === note.origin, "a proof of another log");
  need((bundle.verdict ?? "verified") === "verified", "the proof says of itself that it failed");
  need(!(bundle.failures ?? []).length && !bundle.failures_not_listed, "the proof lists failures");
  need((bundle.rows ?? []).every(({ crosscheck }) => crosscheck !== "differs"), "a stored row differs");
  need(bundle.records.length > 0, "no record is proved");
  for (const { seq, canonical: data, inclusion, openings } of bundle.records) {
    checkProved(fromBase64(data), seq, inclusion, note, openings);
  }
  const others = (bundle.consistency ?? []).map(({ checkpoint, path }) => {
    const other = parseNote(checkpoint);
    need(other.origin === note.origin, "a checkpoint of another log");
    const [small, large] = other.size <= note.size ? [other, note] : [note, other];
    checkConsistency(small.size, small.root, large.size, large.root, path.map(hashOf));
    return { size: other.size, doubtful: checkSigned(other, registry).doubtful };
  });
  const counts = !doubtful || others.some((other) => !other.doubtful && other.size >= note.size);
  need(counts, "a stolen key signed it, and nothing shows its tree");
  need(others.every((other) => !other.doubtful || other.size <= note.size), "a stolen key's larger tree");
  return bundle.records.length;
}

// --- signed reports, docs/formats/report.md

// The company's: by a key that counts at the checkpoint which the report carries, and by no stolen one.
export function checkReport(envelope, trust) {
  need(envelope.payloadType === REPORT_TYPE, "an envelope of another type");
  const { origin, checkpoint, key_registry: envelopes } = JSON.parse(fromBase64(envelope.payload));
  const note = parseNote(checkpoint);
  const signed = checkSigned(note, newestOf(trust, [envelopes], note.origin));
  need(origin === note.origin, "a report in another log's name");
  need(!signed.doubtful, "a stolen key signed the checkpoint");
  const report = checkSaid(openEnvelope(envelope, REPORT_TYPE, signed.keys));
  need(!report.origins.length || report.origins.includes(origin), "a report on other logs");
  return report;
}

// An auditor's: by the key that the reader names, which is none of the registry that the report may carry.
export function checkAuditorsReport(envelope, key) {
  const report = checkSaid(openEnvelope(envelope, REPORT_TYPE, [key]));
  for (const { payload } of report.key_registry ?? []) {
    const { roots, keys } = parseStrict(fromBase64(payload));
    need([...roots.keys, ...keys].every((item) => item.key_id !== key.id), "a key of the company's");
  }
  return report;
}

// What a report says of itself can only make it worse.
function checkSaid(payload) {
  const report = JSON.parse(payload);
  need(report.schema === "cf-report/1", "no report");
  need((report.signed_report ?? null) === null, "a report on a signed report");
  need(report.verdict === "verified" && !report.failures.length && !report.failures_not_listed, "it tells of a failure");
  return report;
}
