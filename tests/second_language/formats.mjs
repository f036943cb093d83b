// The formats of docs/formats, from those pages alone and Node's standard library: what holds, and what does not.
//
// Every check throws with a reason; nothing here names the kind of damage.

import { resolve } from "node:path";
import { gunzipSync } from "node:zlib";

import { fromBase64, hashOf, hex, need, parseStrict, sha256 } from "./bytes.mjs";
import { checkSigned, goodTrees, newestOf, openSigned, parseNote } from "./signatures.mjs";

const PROOF_TYPE = "application/vnd.counterfoil.proof.v1+json";
const SEGMENT_TYPE = "application/vnd.counterfoil.segment.v1+json";
const MAX_RECORD_BYTES = 65535;

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

// --- records and segments, docs/formats/record.md and segment.md

function checkRecord(line, expected) {
  need(line.length <= MAX_RECORD_BYTES, "the record is too long");
  const record = parseStrict(line);
  const members = ["body", "book", "id", "kind", "prev", "recorded_at", "schema", "seq"];
  need(Object.keys(record).join() === members.join(), "members are missing or unknown");
  need(record.schema === "cf/1" && record.seq === expected.seq, `seq ${expected.seq} is not in its place`);
  need(record.prev === expected.prev.toString("hex"), `seq ${expected.seq} names another predecessor`);
  need(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/.test(record.recorded_at), "recorded_at is not a time");
  need(record.recorded_at > expected.after, `seq ${expected.seq} is not later than the one before`);
  need(record.book === expected.book, `seq ${expected.seq} is of another book`);
  return record;
}

function addEntry(body, totals) {
  const net = new Map();
  need(body.postings.length >= 2 && body.postings.length <= 500, "an entry has 2 to 500 postings");
  for (const { amount, currency, direction, account, ...rest } of body.postings) {
    need(/^[1-9][0-9]{0,18}$/.test(amount) && typeof account === "string", "a posting is malformed");
    need(BigInt(amount) < 2n ** 63n, "an amount is more than an amount can be");
    need(["debit", "credit"].includes(direction) && Object.keys(rest).length === 0, "a posting is malformed");
    const sums = totals.get(currency) ?? { debit: 0n, credit: 0n };
    sums[direction] += BigInt(amount);
    totals.set(currency, sums);
    net.set(currency, (net.get(currency) ?? 0n) + (direction === "debit" ? BigInt(amount) : -BigInt(amount)));
  }
  need([...net.values()].every((rest) => rest === 0n), "an entry does not balance");
}

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
  const done = parsed.map((part) => checkOne(part, newest));
  done.slice(1).forEach((next, index) => {
    const before = done[index];
    need(next.manifest.first_seq === before.size && next.before.equals(before.root), "the segments do not join");
    need(next.manifest.previous.manifest_sha256 === before.digest, "it follows another manifest");
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

function checkOne({ files, folder, note }, registry) {
  const signed = checkSigned(note, registry);
  const { payload, doubtful: unsure } = openSigned(JSON.parse(files["manifest.dsse.json"]), SEGMENT_TYPE, signed);
  const { doubtful } = signed;
  const manifest = parseStrict(payload);
  need(manifest.schema === "cf-segment/1" && manifest.origin === note.origin, "a manifest of another log");
  need(folder === null || checkPlace(folder, manifest), "the folder is not where the manifest belongs");
  const { version, sha256: named } = manifest.key_registry;
  need(version < registry.version || (version === registry.version && named === registry.digest), "another registry");
  need(manifest.next_seq === note.size && manifest.tree.after.size === note.size, "manifest and checkpoint differ in size");
  need(hashOf(manifest.tree.after.root).equals(note.root), "manifest and checkpoint differ in root");
  const listed = manifest.objects.map(({ name }) => name).sort();
  need(listed.join() === "checkpoint,keys.jsonl,records.jsonl.gz", "the manifest does not list the other three files");
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
  let [prev, after, entries] = [hex(manifest.chain.first_prev), "", 0];
  for (const line of linesOf(gunzipSync(files["records.jsonl.gz"]))) {
    const record = checkRecord(line, { seq: tree.size, prev, after, book: manifest.book });
    need((record.kind === "book") === (record.seq === 0), "seq 0, and no other, opens the book");
    need(record.kind !== "book" || record.body.origin === note.origin, "the book was opened as another log");
    if (record.kind === "journal_entry") {
      addEntry(record.body, totals);
      entries += 1;
    }
    prev = leafHash(line);
    after = record.recorded_at;
    tree.append(prev);
    look();
  }
  need(tree.size === note.size && tree.root().equals(note.root), "the records are not those that were signed");
  need(prev.toString("hex") === manifest.chain.last_leaf && entries === manifest.entries, "the manifest counts otherwise");
  const summed = [...totals].sort(([one], [two]) => (one < two ? -1 : 1));
  const stated = manifest.totals.map(({ currency, debits, credits }) => `${currency} ${debits} ${credits}`);
  need(stated.join() === summed.map(([name, sums]) => `${name} ${sums.debit} ${sums.credit}`).join(), "the totals differ");
  const digest = sha256(payload).toString("hex");
  const records = tree.size - manifest.first_seq;
  return { origin: note.origin, records, entries, size: tree.size, root: note.root, doubtful, unsure, seen, manifest, before, digest };
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

function checkProved(data, seq, path, note) {
  checkInclusion(leafHash(data), seq, note.size, path.map(hashOf), note.root);
  const record = parseStrict(data);
  need(record.seq === seq && record.book === note.origin.split("/")[2], "the record states another place");
  if (record.kind === "journal_entry") addEntry(record.body, new Map());
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
  for (const { seq, canonical: data, inclusion } of bundle.records) checkProved(fromBase64(data), seq, inclusion, note);
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
