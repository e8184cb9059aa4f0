// node run.mjs write <5|6> <seed> <count>  writes values as lines of { wire, description }
// node run.mjs read <5|6>                  reads such lines and writes a line for each that is read otherwise
// node run.mjs edit <5|6>                  reads lines of { before, removed, name, value, after }, makes each edit itself, and
//                                          writes a line for each that has another result
// node run.mjs regexps                     reads lines of [source, flags] and writes a line with `true` for each that is valid

import { createInterface } from 'node:readline';
import { isDeepStrictEqual } from 'node:util';
import { describe } from './describe.mjs';
import { random_from, value_from } from './values.mjs';

const [, , command, version, seed, count] = process.argv;
const devalue = version && (await import(`devalue-${version}`));

if (command === 'regexps') {
	for await (const line of createInterface({ input: process.stdin, crlfDelay: Infinity })) {
		let valid = true;
		try {
			new RegExp(...JSON.parse(line));
		} catch {
			valid = false;
		}
		console.log(valid);
	}
} else if (command === 'write') {
	const random = random_from(Number(seed));
	// Devalue 5 writes a lone surrogate raw, which no stream of UTF-8 brings over.
	const options = { lone_surrogates: version !== '5' };
	const lines = [];
	for (let i = 0; i < Number(count); i += 1) {
		const value = value_from(random, options);
		lines.push(JSON.stringify({ wire: devalue.stringify(value), description: describe(value) }));
	}
	process.stdout.write(lines.join('\n') + '\n');
} else if (command === 'edit') {
	let read = 0;
	for await (const line of createInterface({ input: process.stdin, crlfDelay: Infinity })) {
		const { before, removed, name, value, after } = JSON.parse(line);
		read += 1;
		try {
			const map = devalue.parse(before);
			map.delete(removed);
			map.set(name, devalue.parse(value));
			const same =
				isDeepStrictEqual(describe(devalue.parse(after)), describe(map)) &&
				(version === '5' || devalue.stringify(map) === after);
			if (!same) console.log(JSON.stringify({ before, removed, name, value, after, expected: devalue.stringify(map) }));
		} catch (error) {
			console.log(JSON.stringify({ before, after, error: String(error) }));
		}
	}
	console.log(`read ${read}`);
} else {
	let read = 0;
	for await (const line of createInterface({ input: process.stdin, crlfDelay: Infinity })) {
		const { wire, description } = JSON.parse(line);
		read += 1;
		try {
			const value = devalue.parse(wire);
			const found = describe(value);
			if (!isDeepStrictEqual(found, description)) {
				console.log(JSON.stringify({ wire, found, description }));
			} else if (version !== '5' && devalue.stringify(value) !== wire) {
				console.log(JSON.stringify({ wire, rewritten: devalue.stringify(value) }));
			}
		} catch (error) {
			console.log(JSON.stringify({ wire, error: String(error) }));
		}
	}
	console.log(`read ${read}`);
}
