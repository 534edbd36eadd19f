// plan.js decides what to ask the server now, and when to decide again.
// It is given the tabs' shared record, the time, the page's configuration and what this tab knows, chance included.
// It never touches the page, the network, the clock or the record: the same arguments give the same step.

import { CLOCK_TOLERANCE, FRESH, LAST_LOOKS, LONGEST_REQUEST, MAX_SLEEP, ROUNDING, SECOND, SHORTEST_REQUEST } from './times.js';

/**
 * @import { Config } from './config.js'
 * @import { SharedRecord } from './record.js'
 *
 * @typedef {object} Tab what only this tab knows and wants
 * @property {boolean} [hidden]
 * @property {boolean} [offline]
 * @property {number} opened when this page was opened
 * @property {number} [woken] when the user or the network last came back; 0 for never
 * @property {number} [input] when somebody last used this page; 0 for never
 * @property {boolean} [stay] the user has asked to stay, and got no answer yet
 * @property {boolean} [look] an answer is wanted in this tab
 * @property {number} rand 0 to 1, one number for the page's life
 *
 * @typedef {KeepaliveState & {why?: string}} Step what to do now; why is for the debug log alone
 *
 * @typedef {object} Situation what is known, with all values checked. Times are those of Date.now(); 0 is never
 * @property {number} now
 * @property {Config} config
 * @property {Tab} tab
 * @property {number} answeredAt when the last answered request was sent
 * @property {number} failedAt
 * @property {number} goneAt
 * @property {string} [user] the stamp of whom the server sent the last page to
 * @property {number} claimedAt
 * @property {number} backAt when the user or the network last came back
 * @property {number} inputAt when somebody last used a page of the browser
 * @property {number} idleEnd
 * @property {number} extendedBy the time that was left when the session was last extended
 * @property {number} deadline Infinity where unknown
 * @property {number} end the idle end or the deadline, whichever comes first
 * @property {number} warn how long before the end to warn; 0 for never
 * @property {number} warnAt
 * @property {boolean} isGone whether the server has said so since this page was opened
 * @property {boolean} isFailing whether the last question got no answer
 * @property {number} failures how many in a row
 * @property {number} retryAfter the ms of the last failure's Retry-After
 * @property {number} retryJitter from 0 to below 1
 * @property {boolean} isCapped whether a ping would gain nothing: it can't move the expiry beyond the deadline
 * @property {boolean} isAsked whether the user or the app wants an answer
 * @property {number} hiddenDelay
 */

/**
 * Returns what value stands for as a number from 0 to below limit, and 0 for everything else.
 * @type {(value: unknown, limit?: number) => number}
 */
export const numberOrZero = (value, limit = Infinity) => {
	const number = Number(value);
	return number >= 0 && number < limit ? number : 0;
};

/**
 * Reads the record and the tab. Any script of the origin can write the record, so what cannot be true counts as absent.
 * @type {(record: Partial<SharedRecord>, now: number, config: Config, tab: Tab) => Situation}
 */
const readSituation = (record, now, config, tab) => {
	/** @type {(value: unknown) => number} */
	const past = (value) => numberOrZero(value, now + CLOCK_TOLERANCE);
	const answeredAt = past(record.at);
	const failedAt = past(record.failed);
	const goneAt = past(record.gone);
	// The page's own idle timeout is the limit of both, so that no record, however wrong, can put a ping off.
	const idleLeft = Math.min(numberOrZero(record.idle), config.idle);
	const extendedBy = Math.min(Math.max(numberOrZero(record.full), idleLeft), config.idle);
	const idleEnd = answeredAt + idleLeft;
	const deadline = numberOrZero(record.life) || Infinity;
	const end = Math.min(idleEnd, deadline);
	const isFailing = failedAt > Math.max(answeredAt, goneAt);
	// Nobody is warned of an end that the server has guessed.
	const warn = record.guess ? 0 : config.warn;
	return {
		now,
		config,
		tab,
		answeredAt,
		failedAt,
		goneAt,
		user: record.user,
		claimedAt: past(record.claim),
		backAt: past(tab.woken),
		inputAt: Math.max(past(record.input), past(tab.input)),
		idleEnd,
		extendedBy,
		deadline,
		end,
		warn,
		warnAt: end - warn,
		isGone: goneAt > Math.max(answeredAt, tab.opened),
		isFailing,
		failures: numberOrZero(record.fails),
		retryAfter: isFailing ? numberOrZero(record.after) : 0,
		retryJitter: numberOrZero(record.rand) % 1,
		isCapped: deadline - idleEnd < ROUNDING,
		isAsked: Boolean(tab.stay || tab.look),
		// Hidden tabs come last, so that a visible one, whose timers are exact, usually has asked before.
		hiddenDelay: tab.hidden ? extendedBy / 20 : 0,
	};
};

/**
 * Reports whether, by the mode and the limit, nobody is there for whom the session should be extended.
 * @type {(s: Situation) => boolean}
 */
const isUnattended = (s) => {
	const { mode, max, idle } = s.config;
	// The server counts the idle timeout from the input. A ping for input that it has counted would gain nothing.
	if (mode === 'active') return !s.inputAt || s.inputAt + idle < s.idleEnd + ROUNDING;
	if (mode === 'visible' && s.tab.hidden) return true;
	return max > 0 && s.now - s.inputAt > max;
};

/**
 * The next ping is due when half of the time is left, and up to a tenth of that earlier by chance. Half is counted from
 * the last extension: a look must not put the ping off.
 * @type {(s: Situation) => number}
 */
const nextPing = (s) => s.idleEnd - (s.extendedBy / 2) * (1 + s.tab.rand / 10) + s.hiddenDelay;

/**
 * Where no ping may extend the session, the page looks after half of the idle timeout, before it warns, and often after.
 * @type {(s: Situation) => number}
 */
const nextLook = (s) => {
	if (s.answeredAt >= s.warnAt - FRESH) return Math.min(s.end, s.answeredAt + LAST_LOOKS);
	return Math.min(s.end, s.warnAt, s.answeredAt + s.config.idle / 2 + s.hiddenDelay);
};

/**
 * Returns for how long an answer is waited for: a third of what is left, within bounds. A server that is slow must be heard.
 * @param {number} left
 */
export const requestTimeout = (left) => Math.min(Math.max(left / 3, SHORTEST_REQUEST), LONGEST_REQUEST);

/**
 * Reports whether the next answer is wanted at once. A page load says nothing of the deadline, and nobody can be warned
 * of an unknown one.
 * @type {(s: Situation) => boolean}
 */
const isUrgent = (s) => s.isAsked || (s.config.warn > 0 && s.deadline === Infinity && !s.isGone);

/**
 * After failures the wait doubles, at most to a quarter of what was left at the failure, with full jitter. Retry-After
 * may ask for more, at most half of what was left. All tabs come to the same time: the record holds the jitter.
 * @type {(s: Situation) => number}
 */
const nextRetry = (s) => {
	// With nothing left, the session can still be there: only the server can say that it is gone.
	const left = s.end > s.failedAt ? s.end - s.failedAt : s.config.idle;
	const backoff = s.retryJitter * Math.min(SECOND * 2 ** s.failures, left / 4);
	const requested = Math.min(s.retryAfter * (1 + s.retryJitter / 10), left / 2);
	return s.failedAt + Math.max(backoff, requested);
};

/**
 * Reports whether the user or the network came back since the last failure, and that is a reason to ask at once. A server
 * that sent Retry-After is left in peace, but for what the user or the app asks.
 * @type {(s: Situation) => boolean}
 */
const isBack = (s) => {
	const lastWordAt = Math.max(s.answeredAt, s.goneAt);
	return s.backAt > s.failedAt && (s.isAsked || (s.backAt - lastWordAt > FRESH && !s.retryAfter));
};

/**
 * The tabs together ask once a second at most, and not while one of them is asking.
 * @type {(s: Situation) => number}
 */
const earliestRequest = (s) => {
	// navigator.onLine is wrong with some virtual networks, so it slows the attempts and never stops them.
	const pause = s.tab.offline ? MAX_SLEEP : SECOND;
	// A claim outlives its request, so that a slow answer is not asked for twice. A tab that was killed while it asked must
	// not cost a short session its life.
	const claimTime = Math.min(requestTimeout(s.end - s.claimedAt) + 2 * SECOND, s.config.idle / 4);
	return Math.max(s.answeredAt + pause, s.failedAt + pause, s.claimedAt + claimTime);
};

/**
 * Returns which end of the session is so near that the user should know or, of a session that is gone, which had passed.
 * @type {(s: Situation, mayExtend: boolean) => ''|KeepaliveEnd}
 */
const nearEnd = (s, mayExtend) => {
	// An end that no ping may prevent must have been confirmed just before. Another is only reached when pings fail.
	const isCertain = s.isFailing || (!mayExtend && s.answeredAt >= s.warnAt - FRESH);
	const isNear = s.warn > 0 && s.now >= s.warnAt && isCertain;
	const hasPassed = s.answeredAt > 0 && s.goneAt > s.end - ROUNDING;
	const isKnown = s.isGone ? hasPassed : isNear;
	const kind = s.isCapped ? 'lifetime' : 'idle';
	return isKnown ? kind : '';
};

/**
 * Decides what to ask now and when to decide again.
 * @type {(record: Partial<SharedRecord>|null|undefined, now: number, config: Config, tab: Tab) => Step}
 */
export const plan = (record, now, config, tab) => {
	const s = readSituation(record || {}, now, config, tab);
	const mayExtend = !s.isCapped && !isUnattended(s);

	const scheduledAt = mayExtend ? nextPing(s) : nextLook(s);
	// Of a session that is gone only somebody who comes back wants to know more.
	const plannedAt = s.isGone ? Infinity : scheduledAt;
	const wantedAt = isUrgent(s) ? 0 : plannedAt;
	const retriedAt = s.isFailing ? Math.max(wantedAt, nextRetry(s)) : wantedAt;
	const desiredAt = isBack(s) ? 0 : retriedAt;
	const dueAt = Math.max(desiredAt, earliestRequest(s));

	const isDue = dueAt <= now;
	const isPingDue = mayExtend && !tab.look && plannedAt <= now;
	const method = !s.isCapped && (tab.stay || isPingDue) ? 'POST' : 'GET';

	/** @type {Step} */
	const step = {
		ask: isDue ? method : '',
		gone: s.isGone,
		until: isDue ? now + MAX_SLEEP : Math.min(dueAt, s.warnAt > now ? s.warnAt : dueAt),
		end: s.end,
		reason: nearEnd(s, mayExtend),
		failing: s.isFailing,
		otherUser: Boolean(config.user && s.user && config.user !== s.user),
		input: s.inputAt,
	};
	if (__DEBUG__) step.why = explain(s, mayExtend, dueAt > Math.max(desiredAt, now));
	return step;
};

/**
 * Says for the debug log what decided.
 * @type {(s: Situation, mayExtend: boolean, isHeldBack: boolean) => string}
 */
const explain = (s, mayExtend, isHeldBack) => {
	const schedule = () => {
		if (s.tab.stay) return 'stay';
		if (s.tab.look) return 'look';
		if (isBack(s)) return 'the user or the network is back';
		if (s.isGone) return 'the session is gone';
		if (isUrgent(s)) return 'the deadline is unknown';
		if (s.isCapped) return 'a ping would gain nothing before the deadline';
		return mayExtend ? 'half of the time left' : 'the mode or the limit forbids pings now';
	};
	const failures = s.isFailing && !isBack(s) ? ', after failures' : '';
	return schedule() + failures + (isHeldBack ? ', but a tab has just asked' : '');
};
