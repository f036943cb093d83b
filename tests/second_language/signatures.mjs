// Notes, envelopes and the key registry, from docs/formats/checkpoint.md and trust.md: whose signature counts.

import { createPublicKey, verify as verifySignature } from "node:crypto";

import { fromBase64, hashOf, holds, need, parseStrict, sha256 } from "./bytes.mjs";

const KEYS_TYPE = "application/vnd.counterfoil.keys.v1+json";

export class Key {
  constructor(spki) {
    this.spki = spki;
    this.id = sha256(spki).toString("hex");
    this.key = createPublicKey({ key: spki, format: "der", type: "spki" });
    this.isEd25519 = this.key.asymmetricKeyType === "ed25519";
    this.alg = this.isEd25519 ? "ed25519" : "ecdsa-p256-sha256";
    need(this.isEd25519 || this.key.asymmetricKeyDetails.namedCurve === "prime256v1", "neither Ed25519 nor P-256");
    // In another form the same key would have another id, and count beside itself.
    need(this.key.export({ type: "spki", format: "der" }).equals(spki), "the key is not in its one DER form");
  }

  // What a verifier key of C2SP signed-note carries: the algorithm, and the key as that algorithm writes it.
  typed() {
    return this.isEd25519 ? Buffer.concat([Buffer.of(1), this.spki.subarray(-32)]) : Buffer.concat([Buffer.of(2), this.spki]);
  }

  // The four bytes in front of a signature in a note.
  hashFor(name) {
    return (this.isEd25519 ? sha256(Buffer.from(`${name}\n`), this.typed()) : sha256(this.spki)).subarray(0, 4);
  }

  signed(message, signature) {
    if (this.isEd25519) return verifySignature(null, message, this.key, signature);
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
    const claimed = known.filter((key) => name === note.origin && keyHash.equals(key.hashFor(name)));
    const verified = claimed.filter((key) => key.signed(Buffer.from(note.text), signature));
    need(claimed.length === 0 || verified.length > 0, "a line of a known key does not verify");
    for (const key of verified) signers.add(key.id);
  }
  need(known.some((key) => signers.has(key.id) && counted(key)), "no key that counts signed the note");
}

export function openEnvelope(envelope, type, keys, threshold = 1) {
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
  need(key.id === key_id && alg === key.alg, "a key under another's name");
  return key;
}

const covers = (pattern, origin) =>
  pattern === origin || (pattern.endsWith("/*") && origin.startsWith(pattern.slice(0, -1)));

const roots = (document) => [document.roots.keys.map(keyOf), document.roots.threshold];

// A stolen key's ranges carry roots, and no other's do; a document with such a range is of schema 2.
function checkDocument({ schema, keys }) {
  need(["cf-keys/1", "cf-keys/2"].includes(schema), "a registry of another schema");
  need(new Set(keys.map(({ key_id }) => key_id)).size === keys.length, "a key is listed twice");
  const stated = new Map();
  for (const { status, valid } of keys) {
    for (const { origin, to_size, root } of valid) {
      need((root !== undefined) === (status === "compromised"), "roots are for compromised keys, and for all of theirs");
      need(root === undefined || (schema === "cf-keys/2" && hashOf(root) && to_size !== null && !origin.endsWith("/*")), "a root of what?");
      if (root === undefined) continue;
      const place = `${to_size} ${origin}`;
      need((stated.get(place) ?? root) === root, "two roots for one size");
      stated.set(place, root);
    }
  }
}

// Return the newest document of the registry, after following its versions from the pinned roots.
export function registryOf(trust, envelopes, origin) {
  need(trust.schema === "cf-trust/1" && covers(trust.origin, origin), "nothing is pinned for this log");
  const pinned = [trust.roots.map(keyOf), trust.threshold];
  let [current, digest] = [null, null];
  const hashes = new Set();
  const before = [];
  for (const envelope of envelopes) {
    const vouching = current === null ? pinned : roots(current);
    // What came before the first document that the pinned roots signed was pinned away.
    if (current === null && !holds(() => openEnvelope(envelope, KEYS_TYPE, ...vouching))) {
      before.unshift(fromBase64(envelope.payload));
      continue;
    }
    const payload = openEnvelope(envelope, KEYS_TYPE, ...vouching);
    const document = parseStrict(payload);
    openEnvelope(envelope, KEYS_TYPE, ...roots(document));
    checkDocument(document);
    need(current === null || document.version === current.version + 1, "the registry has a gap");
    need(current === null || document.prev_sha256 === digest, "the registry is not one chain");
    // Its hashes lead back to the documents before it, which count as its own.
    let expected = current === null ? document.prev_sha256 : null;
    for (const ancestor of before) {
      if (sha256(ancestor).toString("hex") !== expected) break;
      hashes.add(expected);
      expected = parseStrict(ancestor).prev_sha256;
    }
    current = document;
    digest = sha256(payload).toString("hex");
    hashes.add(digest);
  }
  need(current !== null, "there is no registry");
  return { ...current, digest, hashes };
}

// Of several registries the newest judges; it must reach the version that is pinned, the others may be older.
export function newestOf(trust, registries, origin) {
  const found = registries.filter((envelopes) => holds(() => registryOf(trust, envelopes, origin)));
  need(found.length > 0, "no registry is signed by the pinned roots");
  const rings = found.map((envelopes) => registryOf(trust, envelopes, origin));
  const newest = rings.reduce((one, other) => (other.version > one.version ? other : one));
  need(newest.version >= (trust.registry_version ?? 0), "the registry ends before the version that is pinned");
  for (const { payload } of registries.flat()) {
    need(newest.hashes.has(sha256(fromBase64(payload)).toString("hex")), "a registry of another history");
  }
  return newest;
}

const keysFor = (registry, purpose) => registry.keys.filter((item) => item.purposes.includes(purpose)).map(keyOf);

const rangesOf = ({ valid }, origin) => {
  const exact = valid.filter((range) => range.origin === origin);
  return exact.length > 0 ? exact : valid.filter((range) => covers(range.origin, origin));
};

// Return whether a key counts for `origin` at `size` whatever the tree is, as a function of the key.
function countsAt(registry, origin, size) {
  return ({ id }) => {
    const ranges = rangesOf(registry.keys.find((item) => item.key_id === id), origin);
    return ranges.some(
      ({ from_size, to_size, root }) => root === undefined && from_size <= size && (to_size === null || size <= to_size),
    );
  };
}

// The trees of `origin` that the registry itself states, [size, root], after keys were stolen.
export const goodTrees = (registry, origin) =>
  registry.keys.flatMap((item) =>
    rangesOf(item, origin).filter(({ root }) => root !== undefined).map(({ to_size, root }) => [to_size, hashOf(root)]),
  );

// Check the note's signatures. Return the keys that may sign envelopes for its log at its size, and whether it is in
// doubt: signed by stolen keys alone, it counts once its tree is shown to lie in one that counts.
export function checkSigned(note, registry) {
  const counts = countsAt(registry, note.origin, note.size);
  const [known, envelopes] = [keysFor(registry, "checkpoint"), keysFor(registry, "dsse")];
  const stolen = ({ id }) => registry.keys.find((item) => item.key_id === id).status === "compromised";
  const [keys, stolenKeys] = [envelopes.filter(counts), envelopes.filter(stolen)];
  const good = goodTrees(registry, note.origin).find(([size]) => size === note.size);
  need(!good || good[1].equals(note.root), "the registry states another tree of that size");
  if (holds(() => checkNote(note, known, counts))) return { keys, stolenKeys, doubtful: false };
  checkNote(note, known, stolen);
  return { keys, stolenKeys, doubtful: !good };
}

// A stolen key's envelope says nothing of itself. Return the payload, and whether it is in doubt so.
export function openSigned(envelope, type, { keys, stolenKeys }) {
  const doubtful = !holds(() => openEnvelope(envelope, type, keys));
  return { payload: openEnvelope(envelope, type, doubtful ? stolenKeys : keys), doubtful };
}
