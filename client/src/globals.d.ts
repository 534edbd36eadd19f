// What the modules use beyond JavaScript and TypeScript's library.

/** Whether decisions are logged. The bundler replaces it by true or false, and drops what is then never reached. */
declare const __DEBUG__: boolean;
/** Whether the page is reported to package presence. The bundler replaces it as well. */
declare const __PRESENCE__: boolean;

interface Document {
	/** https://wicg.github.io/nav-speculation/prerendering.html */
	readonly prerendering?: boolean;
}

interface PerformanceResourceTiming {
	/** https://www.w3.org/TR/resource-timing/#dom-performanceresourcetiming-deliverytype */
	readonly deliveryType?: string;
}
