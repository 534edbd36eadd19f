// pageload.js finds out whether this page came from the server just now, which has then extended the session.
// It is given what the browser measured of the navigation.
// It never touches the record: main.js notes what it finds.

/** What the browser measured, or nothing in an engine that tells too little. */
export const visit = () =>
	/** @type {PerformanceNavigationTiming} */ (performance.getEntriesByType('navigation')[0] || {});

/** Reports whether the page came back, by back or forward. @type {(entry: { type?: string }) => boolean} */
export const isComeback = ({ type }) => type === 'back_forward';

/**
 * Returns when this was requested, or 0 where it may not come from the server: by back or forward, out of a cache, from a
 * service worker, or in an engine that tells too little. For the page one ping more is made then.
 * @param {PerformanceResourceTiming & { type?: string }} entry
 */
export const requestedAt = (entry) =>
	// 304 counts as the server's: engines report the header's size then, and 0 for a page out of their cache.
	// performance.timeOrigin drifts in a browser that runs for days (w3c/hr-time#115).
	isComeback(entry) || !entry.transferSize || entry.deliveryType || entry.workerStart ? 0 : Date.now() - performance.now() + entry.requestStart;
