// ask.js asks the server, for all tabs of the browser: claim, request, answer.
// It is given two functions: one that decides again when an answer came, one that stops where the server forbids to ask.
// It never decides whether to ask: plan.js does. No other module sends pings.

import { noteInput } from './activity.js';
import { answerOf } from './answer.js';
import { dispatch } from './api.js';
import { config, pingURL, sharedKey } from './config.js';
import { fetch } from './dom.js';
import { numberOrZero, requestTimeout } from './plan.js';
import { claimRecord, isClaimedHere, readRecord, updateClaimed } from './record.js';
import { decide, tab } from './tab.js';
import { CONFIRM_DELAY, LOCK_TIMEOUT, LOCK_WAIT, RECORD_DELAY, SECOND, sleep } from './times.js';

let isAsking = false;

/**
 * Claims the question for this tab, unless there is nothing to ask any more. If two tabs have claimed by the end, the
 * last writer asks. Without a lock, which some engines lack, the claim is nearly as good.
 * @param {Lock|null} [lock] null when another tab holds it
 * @returns {Promise<KeepaliveState['ask']>} the method to ask with, or '' when another tab asks
 */
const claim = async (lock) => {
	if (lock === null) await sleep(LOCK_WAIT);
	const { ask } = decide();
	if (ask) {
		claimRecord();
		await sleep(RECORD_DELAY);
	}
	return isClaimedHere() ? ask : '';
};

/**
 * @typedef {() => void} Tick decides again
 * @typedef {(reason: string) => void} Halt stops for good
 */

/**
 * Reads Retry-After (RFC 9110, section 10.2.3: seconds or a date) as ms. What says neither, or the past, is no number above 0.
 * @param {any} header null where it is missing, undefined without a response
 */
const parseRetryAfter = (header) => Number(header) * SECOND || Date.parse(header) - Date.now();

/**
 * Asks, and asks again before it believes that the session is gone: the token may have been renewed while the question
 * was on its way with the old one.
 * @type {(method: string, tick: Tick, halt: Halt, isSecond?: boolean) => Promise<void>}
 */
const request = async (method, tick, halt, isSecond) => {
	const sentAt = Date.now();
	const { stay: forStay, look: forLook } = tab;
	// The server counts the idle timeout from the last input: the body says how long nobody has used the page.
	const isFromInput = config.mode === 'active' && method === 'POST' && !forStay;
	const body = isFromInput ? 'inactive=' + (sentAt - decide().input) : undefined;
	// Without a response there was a timeout, or an error of the network.
	const response = await fetch(pingURL, {
		method,
		body,
		redirect: 'manual',
		signal: AbortSignal.timeout?.(requestTimeout(decide().end - sentAt)),
	}).catch(() => undefined);
	/** @type {KeepaliveAnswer|null|undefined} */
	const answer = await response?.json().catch(() => null);
	const status = response?.status; // 0 for a redirect, which is not followed
	const isOurs = response?.headers.has('keepalive');
	if (__DEBUG__) console.debug('keepalive:', method, 'answered', status, answer);
	// What stands in front of the server says 401 and 403 too, and means something else.
	if (status === 401 && isOurs) {
		if (isSecond) {
			tab.stay = 0;
			tab.look = false;
			updateClaimed({ gone: sentAt, user: undefined, fails: 0 });
			return;
		}
		// The claim must outlive the pause and the second request, or tabs take it from each other and none ever knows.
		updateClaimed({ claim: Date.now() + 2 * CONFIRM_DELAY });
		await sleep(CONFIRM_DELAY);
		await request(method, tick, halt, true);
	} else if (status === 403 && isOurs) {
		halt('403');
	} else if (status === 200 && answer && answer.idleMs >= 0 && answer.lifetimeMs >= 0) {
		// Nobody else answers with these numbers, so they are believed without the mark: old servers do not send it.
		updateClaimed({
			gone: 0, // it would count again when a clock that was set back has reached it
			// Not from the time of arrival: the server counted from before that.
			...answerOf(sentAt, answer.idleMs, sentAt + answer.lifetimeMs),
			...(answer.unknown && { guess: 1 }),
			...(method === 'POST' && { full: answer.idleMs }),
		});
		if (forStay) {
			tab.stay -= forStay; // what was asked for since gets an answer of its own
			noteInput(sentAt);
		}
		const isWantedSince = tab.look && !forLook;
		tick();
		tab.look = isWantedSince; // for what tick has learnt, this is the answer
		dispatch('keepalive:ping', answer);
	} else {
		updateClaimed({
			failed: Date.now(),
			fails: numberOrZero(readRecord().fails) + 1,
			after: parseRetryAfter(response?.headers.get('retry-after')),
			rand: Math.random(),
		});
		tab.fault = isOurs ? undefined : status;
	}
};

/**
 * Asks, unless this tab is asking already. Whatever becomes of the answer, a tab asks once a second at most.
 * @type {(tick: Tick, halt: Halt) => Promise<void>}
 */
export const ask = async (tick, halt) => {
	if (isAsking) return;
	isAsking = true;
	try {
		// The result is undefined where the engine has no lock that answers.
		const locked = navigator.locks?.request(sharedKey, { ifAvailable: true }, claim);
		const method = (await Promise.race([locked, sleep(LOCK_TIMEOUT)]).catch(() => undefined)) ?? (await claim());
		if (method) await request(method, tick, halt);
		tick();
	} finally {
		await sleep(SECOND);
		isAsking = false;
		tick();
	}
};
