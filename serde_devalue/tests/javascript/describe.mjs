// A description of a value, the same that tests/describe makes in Rust.

const text = (s) =>
	s.isWellFormed()
		? { v: s }
		: { u16: [...Array(s.length).keys()].map((i) => s.charCodeAt(i).toString(16).padStart(4, '0')).join(' ') };

const bits = (n) => {
	const view = new DataView(new ArrayBuffer(8));
	view.setFloat64(0, n);
	return Number.isNaN(n) ? '7ff8000000000000' : view.getBigUint64(0).toString(16).padStart(16, '0');
};

const hex = (buffer) => Buffer.from(buffer).toString('hex');

const is_object = (value) => typeof value === 'object' && value !== null;

function children(value) {
	if (Array.isArray(value)) return Object.keys(value).map((key) => value[key]);
	if (value instanceof Map) return [...value].flat();
	if (value instanceof Set) return [...value];
	if (ArrayBuffer.isView(value)) return [value.buffer];
	const prototype = Object.getPrototypeOf(value);
	return prototype === Object.prototype || prototype === null ? Object.values(value) : [];
}

export function describe(root) {
	const met = new Set();
	const shared = new Set();
	(function find(value) {
		if (!is_object(value)) return;
		if (met.has(value)) return void shared.add(value);
		met.add(value);
		children(value).forEach(find);
	})(root);

	const ids = new Map();

	function any(value) {
		if (!is_object(value)) return primitive(value);
		if (ids.has(value)) return { t: 'ref', id: ids.get(value) };
		if (!shared.has(value)) return object(value);
		const id = ids.size;
		ids.set(value, id);
		return { ...object(value), id };
	}

	function primitive(value) {
		switch (typeof value) {
			case 'undefined':
				return { t: 'undefined' };
			case 'boolean':
				return { t: 'bool', v: value };
			case 'number':
				return { t: 'num', v: Object.is(value, -0) ? '-0' : String(value), f64: bits(value) };
			case 'string':
				return { t: 'str', ...text(value) };
			case 'bigint':
				return { t: 'bigint', v: String(value) };
			default:
				return { t: 'null' };
		}
	}

	function object(value) {
		const tag = Object.prototype.toString.call(value).slice(8, -1);
		switch (tag) {
			case 'Date':
				return isNaN(value)
					? { t: 'date', v: '', ms: null }
					: { t: 'date', v: value.toISOString(), ms: value.getTime() };
			case 'RegExp':
				return { t: 'regexp', source: value.source, flags: value.flags };
			case 'URL':
				return { t: 'url', v: value.href };
			case 'URLSearchParams':
				return { t: 'urlsearchparams', v: String(value) };
			case 'Map':
				return { t: 'map', v: [...value].map(([key, value]) => [any(key), any(value)]) };
			case 'Set':
				return { t: 'set', v: [...value].map(any) };
			case 'Number':
			case 'String':
			case 'Boolean':
			case 'BigInt':
				return { t: 'boxed', v: any(value.valueOf()) };
			case 'ArrayBuffer':
				return { t: 'arraybuffer', hex: hex(value) };
			case 'DataView':
				return {
					t: 'dataview',
					byteOffset: value.byteOffset,
					byteLength: value.byteLength,
					buffer: any(value.buffer)
				};
			case 'Array': {
				const keys = Object.keys(value);
				return keys.length === value.length
					? { t: 'array', v: value.map(any) }
					: { t: 'array', length: value.length, items: keys.map((key) => [Number(key), any(value[key])]) };
			}
		}
		if (ArrayBuffer.isView(value)) {
			return {
				t: 'typed',
				kind: tag,
				byteOffset: value.byteOffset,
				length: value.length,
				buffer: any(value.buffer)
			};
		}
		const t = Object.getPrototypeOf(value) === null ? 'nullobj' : 'object';
		const key = (key) => (key.isWellFormed() ? key : text(key));
		return { t, v: Object.keys(value).map((k) => [key(k), any(value[k])]) };
	}

	return any(root);
}
