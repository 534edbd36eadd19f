// frames.js finds the page around this one that shows the dialogs.
// It is given the property that the script leaves in a window where it runs.
// It never reads anything else of other windows, and nothing of other origins.

/**
 * Returns the nearest window around this one where the script runs, or undefined where there is none.
 * @type {(guard: symbol) => Window|undefined}
 */
export const windowAround = (guard) => {
	/** @type {Window} */
	let frame = window;
	while (frame !== frame.parent) {
		frame = frame.parent;
		try {
			if (Reflect.get(frame, guard)) return frame;
		} catch {} // of another origin
	}
	return undefined;
};
