// Random values of every type of the format.

// Mulberry32: the same values in every run of a seed.
export function random_from(seed) {
	return () => {
		seed = (seed + 0x6d2b79f5) | 0;
		let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
		t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
		return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
	};
}

const VIEWS = [
	Int8Array,
	Uint8Array,
	Uint8ClampedArray,
	Int16Array,
	Uint16Array,
	Int32Array,
	Uint32Array,
	Float32Array,
	Float64Array,
	BigInt64Array,
	BigUint64Array
];

export function value_from(random, { lone_surrogates }) {
	const below = (n) => Math.floor(random() * n);
	const one_of = (items) => items[below(items.length)];
	const many = (n, make) => Array.from({ length: below(n + 1) }, make);
	const objects = [];

	const keep = (object) => {
		objects.push(object);
		return object;
	};

	const unit = () =>
		one_of([
			() => String.fromCharCode(0x20 + below(0x5f)),
			() => one_of(['"', '\\', '<', '\n', '\0', '\u001f', '\u2028', '\u2029', '\u007f', '/', '>']),
			() => String.fromCodePoint(0xa0 + below(0xd700)),
			() => String.fromCodePoint(0x1f300 + below(0x300)),
			() => (lone_surrogates ? String.fromCharCode(0xd800 + below(0x800)) : 'x')
		])();

	const string = () => many(8, unit).join('');

	const number = () =>
		one_of([
			() => below(10),
			() => -below(1000),
			() => one_of([0, -0, NaN, Infinity, -Infinity, 2 ** 53, 1e21, 5e-324, Number.MAX_VALUE]),
			() => random() * 10 ** (below(600) - 300),
			() => new Float64Array(new BigUint64Array([BigInt(below(2 ** 32)) << 32n | BigInt(below(2 ** 32))]).buffer)[0]
		])();

	const bigint = () => BigInt(below(2 ** 32)) ** BigInt(1 + below(5)) * (random() < 0.5 ? -1n : 1n);

	const primitive = () =>
		one_of([string, string, number, number, bigint, () => one_of([undefined, null, true, false])])();

	const key = () => one_of([string, string, () => String(below(20)), () => '4294967294', () => '4294967295'])();

	const buffer = () => keep(new Uint8Array(many(32, () => below(256))).buffer);

	const view = () => {
		const Kind = one_of([...VIEWS, DataView]);
		const size = Kind.BYTES_PER_ELEMENT ?? 1;
		const length = below(6);
		const earlier = objects.filter((object) => object instanceof ArrayBuffer && object.byteLength % size === 0);
		const bytes = earlier.length && random() < 0.5 ? one_of(earlier) : keep(new Uint8Array(length * size).map(() => below(256)).buffer);
		const offset = below(bytes.byteLength / size + 1);
		const rest = bytes.byteLength / size - offset;
		return random() < 0.5 ? new Kind(bytes) : new Kind(bytes, offset * size, below(rest + 1));
	};

	function any(depth) {
		if (depth === 0 || random() < 0.3) return primitive();
		if (objects.length && random() < 0.1) return one_of(objects);
		return one_of([
			() => {
				const array = keep([]);
				for (let i = below(7); i > 0; i -= 1) array.push(any(depth - 1));
				return array;
			},
			() => {
				const array = keep([]);
				array.length = below(one_of([4, 12, 2 ** 32]));
				for (let i = below(4); i > 0 && array.length; i -= 1) array[below(array.length)] = any(depth - 1);
				return array;
			},
			() => {
				const object = keep(random() < 0.2 ? Object.create(null) : {});
				for (let i = below(7); i > 0; i -= 1) object[key()] = any(depth - 1);
				return object;
			},
			() => {
				const map = keep(new Map());
				for (let i = below(5); i > 0; i -= 1) map.set(any(depth - 1), any(depth - 1));
				return map;
			},
			() => {
				const set = keep(new Set());
				for (let i = below(5); i > 0; i -= 1) set.add(any(depth - 1));
				return set;
			},
			() => keep(new Date(one_of([NaN, 0, -1, below(2 ** 41), -below(2 ** 45), 8.64e15, -8.64e15]))),
			() => keep(one_of([/a+b/gi, /[/\]"<]\n/, new RegExp('/\n\u2028'), new RegExp(''), /\\\/x/dsuy])),
			() => keep(new URL(one_of(['https://EXAMPLE.com/a/../b?q=<>#h', 'http://münchen.de:80/ü', 'data:,x y', 'mailto:a@b.c']))),
			() => keep(new URLSearchParams(many(3, () => [string(), string()]))),
			() => keep(Object(one_of([string(), number(), bigint(), true, false]))),
			buffer,
			view
		])();
	}

	return any(4);
}
