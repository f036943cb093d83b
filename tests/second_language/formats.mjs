// The formats of docs/formats, from those pages alone and Node's standard library: what holds, and what does not.
//
// Every check throws with a reason; nothing here names the kind of damage.

import { createHash, createPublicKey, verify as verifySignature } from "node:crypto";
import { resolve } from "node:path";
import { gunzipSync } from "node:zlib";

const KEYS_TYPE = "application/vnd.counterfoil.keys.v1+json";
const PROOF_TYPE = "application/vnd.counterfoil.proof.v1+json";
const SEGMENT_TYPE = "application/vnd.counterfoil.segment.v1+json";
const MAX_RECORD_BYTES = 65535;

const sha256 = (...parts) => parts.reduce((state, part) => state.update(part), createHash("sha256")).digest();
export const leafHash = (data) => sha256(Buffer.of(0), data);
const nodeHash = (left, right) => sha256(Buffer.of(1), left, right);
const half = (...numbers) => numbers.map((number) => Math.floor(number / 2));
export const hex = (text) => Buffer.from(text, "hex");

export function need(condition, message) {
  if (!condition) throw new Error(message);
}

export function holds(check) {
  try {
    check();
    return true;
  } catch {
    return false;
  }
}

export function fromBase64(text) {
  const data = Buffer.from(text, "base64");
  need(data.toString("base64") === text, "base64 has one form");
  return data;
}

function hashOf(text) {
  const data = fromBase64(text);
  need(data.length === 32, "a hash has 32 bytes");
  return data;
}

// --- canonical JSON, docs/formats/record.md

function canonical(value) {
  if (value === null || typeof value === "boolean") return JSON.stringify(value);
  if (typeof value === "number") {
    need(Number.isSafeInteger(value) && !Object.is(value, -0), "a number outside the profile");
    return String(value);
  }
  if (typeof value === "string") {
    need(value.isWellFormed() && value.normalize("NFC") === value && !value.includes("\0"), "a text outside the profile");
    return JSON.stringify(value);
  }
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  const members = Object.keys(value).sort().map((key) => {
    need(/^[a-z0-9_]{1,64}$/.test(key), "a key outside the profile");
    return `"${key}":${canonical(value[key])}`;
  });
  return `{${members.join(",")}}`;
}

export function parseStrict(data) {
  const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(data);
  const value = JSON.parse(text);
  // Duplicate keys, other white space, other escapes: all of them come out differently.
  need(canonical(value) === text, "not in canonical form");
  return value;
}

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

// --- signatures: notes, envelopes, registry; docs/formats/checkpoint.md and trust.md

export class Key {
  constructor(spki) {
    this.spki = spki;
    this.id = sha256(spki).toString("hex");
    this.key = createPublicKey({ key: spki, format: "der", type: "spki" });
    need(this.key.asymmetricKeyDetails.namedCurve === "prime256v1", "not a P-256 key");
  }

  signed(message, signature) {
    return verifySignature("sha256", message, { key: this.key, dsaEncoding: "der" }, signature);
  }
}

export function parseNote(text) {
  const cut = text.lastIndexOf("\n\n");
  need(cut > 0 && text.endsWith("\n"), "a note is text, a blank line and signatures");
  const lines = text.slice(cut + 2, -1).split("\n");
  const signatures = lines.map((line) => {
    const match = /^— ([^ +\s]+) ([A-Za-z0-9+/]+={0,2})$/.exec(line);
    need(match, "not a signature line");
    const data = fromBase64(match[2]);
    return { name: match[1], keyHash: data.subarray(0, 4), signature: data.subarray(4) };
  });
  const [origin, size, root, ...rest] = text.slice(0, cut + 1).split("\n");
  need(rest.length === 1 && rest[0] === "" && /^(0|[1-9][0-9]*)$/.test(size), "not a checkpoint");
  return { text: text.slice(0, cut + 1), signatures, origin, size: Number(size), root: hashOf(root) };
}

// `known` are the keys that the registry has for checkpoints; `counted` says which of them count here.
export function checkNote(note, known, counted = () => true) {
  const signers = new Set();
  for (const { name, keyHash, signature } of note.signatures) {
    const claimed = known.filter((key) => name === note.origin && keyHash.equals(hex(key.id.slice(0, 8))));
    const verified = claimed.filter((key) => key.signed(Buffer.from(note.text), signature));
    need(claimed.length === 0 || verified.length > 0, "a line of a known key does not verify");
    for (const key of verified) signers.add(key.id);
  }
  need(known.some((key) => signers.has(key.id) && counted(key)), "no key that counts signed the note");
}

function openEnvelope(envelope, type, keys, threshold = 1) {
  need(envelope.payloadType === type, `an envelope of type ${envelope.payloadType}`);
  const payload = fromBase64(envelope.payload);
  const head = `DSSEv1 ${Buffer.byteLength(type)} ${type} ${payload.length} `;
  const message = Buffer.concat([Buffer.from(head), payload]);
  const signers = keys.filter((key) => envelope.signatures.some(({ sig }) => key.signed(message, fromBase64(sig))));
  need(signers.length >= threshold, "the envelope lacks a signature that counts");
  return payload;
}

function keyOf({ key_id, alg, spki }) {
  const key = new Key(fromBase64(spki));
  need(key.id === key_id && alg === "ecdsa-p256-sha256", "a key under another's name");
  return key;
}

const covers = (pattern, origin) =>
  pattern === origin || (pattern.endsWith("/*") && origin.startsWith(pattern.slice(0, -1)));

const roots = (document) => [document.roots.keys.map(keyOf), document.roots.threshold];

// Return the newest document of the registry, after following its versions from the pinned roots.
function registryOf(trust, envelopes, origin) {
  need(trust.schema === "cf-trust/1" && covers(trust.origin, origin), "nothing is pinned for this log");
  const pinned = [trust.roots.map(keyOf), trust.threshold];
  let [current, digest] = [null, null];
  for (const envelope of envelopes) {
    const vouching = current === null ? pinned : roots(current);
    // What came before the first document that the pinned roots signed was pinned away.
    if (current === null && !holds(() => openEnvelope(envelope, KEYS_TYPE, ...vouching))) continue;
    const payload = openEnvelope(envelope, KEYS_TYPE, ...vouching);
    const document = parseStrict(payload);
    openEnvelope(envelope, KEYS_TYPE, ...roots(document));
    need(current === null || document.version === current.version + 1, "the registry has a gap");
    need(current === null || document.prev_sha256 === digest, "the registry is not one chain");
    current = document;
    digest = sha256(payload).toString("hex");
  }
  need(current !== null, "there is no registry");
  need(current.version >= (trust.registry_version ?? 0), "the registry ends before the version that is pinned");
  return { ...current, digest };
}

const keysFor = (registry, purpose) => registry.keys.filter((item) => item.purposes.includes(purpose)).map(keyOf);

// Return whether a key counts for `origin` at `size`, as a function of the key.
function countsAt(registry, origin, size) {
  return ({ id }) => {
    const { valid } = registry.keys.find((item) => item.key_id === id);
    const exact = valid.filter((range) => range.origin === origin);
    const ranges = exact.length > 0 ? exact : valid.filter((range) => covers(range.origin, origin));
    return ranges.some((range) => range.from_size <= size && (range.to_size === null || size <= range.to_size));
  };
}

// Check the note's signatures; return the keys that may sign envelopes for its log at its size.
function checkSigned(note, registry) {
  const counts = countsAt(registry, note.origin, note.size);
  checkNote(note, keysFor(registry, "checkpoint"), counts);
  return keysFor(registry, "dsse").filter(counts);
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

export function checkSegment(files, trust, folder = null) {
  const envelopes = files["keys.jsonl"].toString("utf-8").split("\n").filter(Boolean).map((line) => JSON.parse(line));
  const note = parseNote(files.checkpoint.toString("utf-8"));
  const registry = registryOf(trust, envelopes, note.origin);
  const manifest = parseStrict(openEnvelope(JSON.parse(files["manifest.dsse.json"]), SEGMENT_TYPE, checkSigned(note, registry)));
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
  }
  need(tree.size === note.size && tree.root().equals(note.root), "the records are not those that were signed");
  need(prev.toString("hex") === manifest.chain.last_leaf && entries === manifest.entries, "the manifest counts otherwise");
  const summed = [...totals].sort(([one], [two]) => (one < two ? -1 : 1));
  const stated = manifest.totals.map(({ currency, debits, credits }) => `${currency} ${debits} ${credits}`);
  need(stated.join() === summed.map(([name, sums]) => `${name} ${sums.debit} ${sums.credit}`).join(), "the totals differ");
  return { origin: note.origin, records: tree.size - manifest.first_seq, entries, size: tree.size, root: note.root };
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
  need(header === "c2sp.org/tlog-proof@v1" && lines[0].startsWith("extra "), "not a proof that carries its record");
  const data = fromBase64(lines.shift().slice("extra ".length));
  const index = /^index (0|[1-9][0-9]*)$/.exec(lines.shift());
  const note = parseNote(text.slice(cut + 2));
  checkSigned(note, registryOf(trust, envelopes, note.origin));
  checkProved(data, Number(index[1]), lines, note);
}

function checkProved(data, seq, path, note) {
  checkInclusion(leafHash(data), seq, note.size, path.map(hashOf), note.root);
  const record = parseStrict(data);
  need(record.seq === seq && record.book === note.origin.split("/")[2], "the record states another place");
  if (record.kind === "journal_entry") addEntry(record.body, new Map());
}

// What a bundle says of itself can only make it worse; without a record it proves nothing.
export function checkBundle(envelope, trust) {
  const bundle = JSON.parse(fromBase64(envelope.payload));
  const note = parseNote(bundle.checkpoint);
  const registry = registryOf(trust, bundle.keys, note.origin);
  openEnvelope(envelope, PROOF_TYPE, checkSigned(note, registry));
  need(bundle.schema === "cf-proof/1" && bundle.origin === note.origin, "a proof of another log");
  need((bundle.verdict ?? "verified") === "verified", "the proof says of itself that it failed");
  need(!(bundle.failures ?? []).length && !bundle.failures_not_listed, "the proof lists failures");
  need((bundle.rows ?? []).every(({ crosscheck }) => crosscheck !== "differs"), "a stored row differs");
  need(bundle.records.length > 0, "no record is proved");
  for (const { seq, canonical: data, inclusion } of bundle.records) checkProved(fromBase64(data), seq, inclusion, note);
  for (const { checkpoint, path } of bundle.consistency ?? []) {
    const older = parseNote(checkpoint);
    checkSigned(older, registry);
    need(older.origin === note.origin, "an older checkpoint of another log");
    checkConsistency(older.size, older.root, note.size, note.root, path.map(hashOf));
  }
  return bundle.records.length;
}
