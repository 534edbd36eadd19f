// planner.js lets the real plan() decide for many pages at once.
// It is given their states as numbers, in the order of browser.encode, and puts the steps in the same places.
// It never touches anything else: Go keeps the time, the network and the records.

import { plan } from '../../client/src/plan.js';

export const QUERY = 15;

/** @type {(numbers: Float64Array, config: object) => void} */
export const planAll = (numbers, config) => {
	for (let i = 0; i < numbers.length; i += QUERY) {
		const step = plan(
			{
				at: numbers[i + 1],
				idle: numbers[i + 2],
				full: numbers[i + 3],
				guess: 0,
				life: numbers[i + 4],
				gone: numbers[i + 5],
				claim: numbers[i + 6],
				failed: numbers[i + 7],
				fails: numbers[i + 8],
				after: numbers[i + 9],
				rand: numbers[i + 10],
			},
			numbers[i],
			config,
			{
				hidden: numbers[i + 11] > 0,
				opened: numbers[i + 12],
				woken: numbers[i + 13],
				online: numbers[i + 14],
				stay: 0,
			},
		);
		numbers[i] = ['', 'GET', 'POST'].indexOf(step.ask);
		numbers[i + 1] = step.until;
	}
};
