// pageload.js finds out whether this page came from the server just now, which has then extended the session.
// It is given what the browser measured of the navigation.
// It never touches the record: main.js notes what it finds.

/** @returns {PerformanceNavigationTiming|undefined} */
const visit = () => {
	const [entry] = /** @type {PerformanceNavigationTiming[]} */ (performance.getEntriesByType('navigation'));
	return entry;
};

/** Reports whether the page came back, by back or forward. */
export const isComeback = () => visit()?.type === 'back_forward';

/**
 * Returns when the page was requested, or 0 where it may not come from the server: by back or forward, out of a cache,
 * from a service worker, or in an engine that tells too little. Then one ping more is made.
 */
export const pageRequestedAt = () => {
	const entry = visit();
	// 304 counts as the server's: engines report the header's size then, and 0 for a page out of their cache.
	if (!entry?.transferSize || isComeback() || entry.deliveryType || entry.workerStart) return 0;
	// performance.timeOrigin drifts in a browser that runs for days (w3c/hr-time#115).
	return Date.now() - performance.now() + entry.requestStart;
};
