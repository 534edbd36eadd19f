// servertiming.js reads from answers to the app's own requests how long the session lives: from their header Server-Timing.
// It is given what the browser measured of each request, and leaves out what may be a copy.
// It never sends a request. Browsers show the header in secure contexts only.

/** @import { Core } from './extras.js' */

import { answerOf, smallestGain } from './answer.js';
import { requestedAt, visit } from './pageload.js';
import { SECOND } from './times.js';

// The server names the metric by its path, as several may answer one page.
const metricName = new URL('.', import.meta.url).pathname.slice(1, -1).replace(/\//g, '|');

/**
 * Returns what the server's answer said, for the record: duration is the ms until the idle end, and description those until
 * the deadline. On a 304 it may say nothing, so that no old value stays.
 * @type {(entry: PerformanceResourceTiming) => ReturnType<typeof answerOf>|undefined}
 */
const readAnswer = (entry) => {
	const at = requestedAt(entry);
	const metric = entry.serverTiming?.find(({ name }) => name === metricName);
	// Engines without deliveryType have a size of 300, or that of the header, for 304: the body was in the cache.
	const hasBody = entry.transferSize >= 300 + entry.encodedBodySize / 2;
	if (!metric?.duration || !hasBody || !entry.name.startsWith(origin + '/')) return undefined;
	return answerOf(at, metric.duration, at + Number(metric.description));
};

/**
 * Notes what an answer to the app's own request said, where that is news. The deadline of a session stands still: a later one
 * is that of another session, of an old copy, or of a clock that stood still while the machine slept. The tolerance, for
 * answers that the server took long to begin, is a quarter of the idle timeout at most: pings come in time even then.
 * @type {(entry: any, core: Core) => void} entry is a PerformanceResourceTiming
 */
const noteRequest = (entry, core) => {
	const answer = readAnswer(entry);
	const { at = 0, idle = 0, life = 0, gone = 0 } = core.read();
	const gain = smallestGain(core.config.idle);
	const isGain = answer && answer.at > Math.max(at, gone) && answer.at + answer.idle > at + idle + gain;
	if (!isGain || !(answer.life < life + 5 * gain)) return;
	// Otherwise a copy that is asked for again and again would move the deadline each time by less than the tolerance.
	core.update({ ...answer, life: Math.min(answer.life, life) });
	core.tick();
};

let isVisitNoted = false;

/**
 * Notes what the server said when it sent this page, once, if that is still the last that the tabs know of: the script has
 * noted when the page was requested, unless that has not extended the session. It may be of a new session, so its deadline is right whatever was known before.
 * @param {Core} core
 */
export const noteVisit = (core) => {
	const answer = readAnswer(visit());
	// A clock that stood still while the machine slept would make the answer younger.
	const { at = NaN } = core.read();
	const isLast = answer && Math.abs(answer.at - at) < SECOND;
	if (!isLast || isVisitNoted) return;
	isVisitNoted = true;
	core.update(answer);
	core.tick();
};

/**
 * Follows the requests of the page.
 * @param {Core} core
 */
export const followRequests = (core) => {
	try {
		new PerformanceObserver((list) => {
			for (const entry of list.getEntries()) noteRequest(entry, core);
		}).observe({ type: 'resource', buffered: true });
	} catch {} // an engine that lacks it
};
