// dom.js is the browser as the script uses it, whatever others do to the page.
// It is given the name of a property of the document, and answers by the document's own class.
// It never reads through the document itself, where an element of the page hides the property: <img name="currentScript">
// (HTML standard, section 3.1.7).

/**
 * The document's properties, without its functions.
 * @type {{[Name in keyof Document as Document[Name] extends Function ? never : Name]: Document[Name]}}
 */
export const page = new Proxy(document, { get: (target, name) => Reflect.get(Document.prototype, name, target) });

/**
 * The document's functions, which only the modules need that are loaded later.
 * @type {Document}
 */
export const functions = /* @__PURE__ */ new Proxy(document, { get: (target, name) => Reflect.get(Document.prototype, name).bind(target) });

/**
 * The browser's. An app may replace it later, by one that goes to sign in after any 401.
 * @type {typeof window.fetch}
 */
export const fetch = /* @__PURE__ */ Reflect.get(window, 'fetch');
