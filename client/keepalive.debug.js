// The readable keepalive script, which logs each decision. It is generated: client/src has the modules and their comments.
(() => {
  // src/dom.js
  var page = new Proxy(document, { get: (target, name) => Reflect.get(Document.prototype, name, target) });
  var fetch = /* @__PURE__ */ Reflect.get(window, "fetch");

  // src/times.js
  var SECOND = 1e3;
  var MINUTE = 6e4;
  var MAX_SLEEP = 6e4;
  var FRESH = 5e3;
  var LONGEST_LOAD = 1e4;
  var ROUNDING = 1e3;
  var LAST_LOOKS = 3e4;
  var HIDDEN_RESERVE = 13e4;
  var CLOCK_TOLERANCE = 12e3;
  var SHORTEST_REQUEST = 1e4;
  var LONGEST_REQUEST = 6e4;
  var LOCK_WAIT = 200;
  var LOCK_TIMEOUT = 5e3;
  var RECORD_DELAY = 50;
  var CONFIRM_DELAY = 1e3;
  var INPUT_INTERVAL = 5e3;
  var PRESENCE_INTERVAL = 55e3;
  var BACK_AFTER = 12e4;
  var sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

  // src/config.js
  var script = (
    /** @type {HTMLScriptElement} */
    page.currentScript
  );
  var { dataset } = script;
  var config = {
    ...dataset,
    idle: Number(dataset.idle) || MINUTE,
    max: Number(dataset.max),
    warn: Number(dataset.warn) || 0
  };
  var address = new URL(
    /** @type {string} */
    script.getAttribute("src"),
    "http://host" + location.pathname
  );
  var path = new URL(".", address).pathname;
  var suffix = address.pathname.slice(path.length + "keepalive".length);
  var endpoint = (name) => origin + path + name;
  var pingURL = endpoint("ping");
  var sharedKey = "keepalive:" + pingURL;

  // src/answer.js
  var answerOf = (at, idle, life) => ({ at, idle, life, guess: 0, fails: 0, rand: Math.random() });
  var smallestGain = (idle) => Math.min(idle / 20, MINUTE);

  // src/plan.js
  var numberOrZero = (value, limit = Infinity) => {
    const number = Number(value);
    return number >= 0 && number < limit ? number : 0;
  };
  var requestTimeout = (left) => Math.min(Math.max(left / 3, SHORTEST_REQUEST), LONGEST_REQUEST);
  var plan = (shared, now, config2, tab2) => {
    const past = (value) => numberOrZero(value, now + CLOCK_TOLERANCE);
    const answeredAt = past(shared.at);
    const failedAt = past(shared.failed);
    const goneAt = past(shared.gone);
    const claimedAt = past(shared.claim);
    const wokenAt = past(tab2.woken);
    const onlineAt = past(tab2.online);
    const sureAt = past(tab2.sureAt);
    const inputAt2 = Math.max(past(shared.input), past(tab2.input));
    const chance = numberOrZero(shared.rand, 1);
    const idleLeft = Math.min(numberOrZero(shared.idle), config2.idle);
    const extendedBy = Math.min(Math.max(numberOrZero(shared.full), idleLeft), config2.idle);
    const idleEnd = answeredAt + idleLeft;
    const deadline = numberOrZero(shared.life) || Infinity;
    const end = Math.min(idleEnd, deadline);
    const warn = shared.guess ? 0 : config2.warn;
    const warnAt = end - warn;
    const lastWordAt = Math.max(answeredAt, goneAt);
    const isGone = goneAt > Math.max(answeredAt, past(tab2.opened));
    const isFailing = failedAt > lastWordAt;
    const retryAfter = isFailing ? numberOrZero(shared.after) : 0;
    const isCapped = deadline - idleEnd < ROUNDING;
    const isAsked = tab2.stay || tab2.look;
    const isUnattended = config2.mode === "active" ? !inputAt2 || inputAt2 + config2.idle < idleEnd + ROUNDING : config2.mode === "visible" && tab2.hidden || config2.max && now - inputAt2 > config2.max;
    const mayExtend = !isCapped && !isUnattended && !isGone;
    const reserve = Math.max(warn + FRESH, tab2.hidden ? HIDDEN_RESERVE : 0);
    const wait = (left2) => Math.max(left2 / 4, Math.min(0.65 * left2, left2 - reserve) * (6 + 7 * chance) / 13);
    const nextPing = idleEnd - extendedBy + wait(extendedBy);
    const isLate = answeredAt >= warnAt - FRESH;
    const nextLook = Math.min(end, isLate ? answeredAt + LAST_LOOKS : Math.min(warnAt, answeredAt + (0.6 + chance / 4) * config2.idle));
    const left = end > failedAt ? end - failedAt : config2.idle / 2;
    const isQuick = isAsked || end <= failedAt;
    const backoff = Math.min(wait(left), isQuick ? SECOND * 2 ** (numberOrZero(shared.fails) - chance) : Infinity);
    const spread = chance * Math.min(left / 4, 3 * MINUTE);
    const onlineRetry = onlineAt > failedAt ? onlineAt + spread : Infinity;
    const permittedRetry = retryAfter && failedAt + Math.min(retryAfter + spread, left / 2);
    const nextRetry = Math.max(Math.min(failedAt + backoff, onlineRetry), permittedRetry);
    const claimTime = Math.min(config2.idle / 4, requestTimeout(end - claimedAt) + 2 * SECOND);
    const earliest = Math.max(answeredAt + SECOND, failedAt + SECOND, claimedAt + claimTime);
    const isBack = wokenAt >= failedAt && (isAsked || wokenAt - lastWordAt > FRESH && !retryAfter);
    const lacksDeadline = warn && deadline === Infinity;
    const scheduledAt = Math.min(mayExtend ? nextPing : nextLook, lacksDeadline ? Math.max(answeredAt, sureAt) + FRESH : Infinity);
    const plannedAt = isGone ? Infinity : scheduledAt;
    const wantedAt = isAsked ? 0 : plannedAt;
    const retriedAt = Math.max(wantedAt, isFailing ? nextRetry : 0);
    const desiredAt = isBack ? 0 : retriedAt;
    const dueAt = Math.max(desiredAt, earliest, isAsked ? 0 : sureAt);
    const isDue = dueAt <= now;
    const isPingDue = tab2.stay || mayExtend && !tab2.look && nextPing <= now;
    const method = isPingDue && !isCapped ? "POST" : "GET";
    const isNear = warn && warnAt <= now && (isFailing || !mayExtend && isLate);
    const hasPassed = answeredAt && goneAt > end - ROUNDING;
    const nearEnd = isCapped ? "lifetime" : "idle";
    const step = {
      ask: isDue ? method : "",
      gone: isGone,
      until: isDue ? now + MAX_SLEEP : Math.min(dueAt, isGone || warnAt <= now ? Infinity : warnAt),
      end,
      reason: (isGone ? hasPassed : isNear) ? nearEnd : "",
      failing: isFailing,
      otherUser: Boolean(config2.user && shared.user && config2.user !== shared.user),
      input: inputAt2
    };
    if (true) {
      const schedule = () => {
        if (tab2.stay) return "stay";
        if (tab2.look) return "look";
        if (isBack) return "the user is back";
        if (isGone) return "the session is gone";
        if (lacksDeadline) return "the deadline is unknown";
        if (isCapped) return "a ping would gain nothing before the deadline";
        return mayExtend ? "the time drawn for the next ping" : "the mode or the limit forbids pings now";
      };
      const failures = isFailing && !isBack ? ", after failures" : "";
      const heldBack = dueAt > Math.max(desiredAt, now) ? ", but a tab has just asked" : "";
      step.why = schedule() + failures + heldBack;
    }
    return step;
  };

  // src/record.js
  var tabNumber = Math.random();
  var privateCopy = "";
  var readRecord = () => {
    try {
      return JSON.parse(privateCopy || localStorage.getItem(sharedKey) || "{}") || {};
    } catch {
      return {};
    }
  };
  var writeRecord = (record) => {
    privateCopy = JSON.stringify(record);
    try {
      localStorage.setItem(sharedKey, privateCopy);
      if (localStorage.getItem(sharedKey) === privateCopy) privateCopy = "";
    } catch {
    }
  };
  var updateRecord = (changes) => writeRecord({ ...readRecord(), ...changes });
  var claimRecord = () => updateRecord({ claim: Date.now(), by: tabNumber });
  var isClaimedHere = () => readRecord().by === tabNumber;
  var updateClaimed = (changes) => {
    if (isClaimedHere()) updateRecord({ claim: 0, ...changes });
  };
  var savePageLoad = (at) => {
    const { at: knownAt = 0, life = 0 } = readRecord();
    if (knownAt >= at) return;
    const idle = config.idle - smallestGain(config.idle);
    updateRecord({ full: idle, ...answerOf(at, idle, life > at + 2 * idle ? life : 0) });
  };
  var saveUser = (requestedAt2) => {
    const { user } = config;
    const seenAt = numberOrZero(readRecord().seen, Date.now() + CLOCK_TOLERANCE);
    if (user !== void 0 && seenAt < requestedAt2) updateRecord({ user, seen: requestedAt2 });
  };

  // src/activity.js
  var isInputWanted = config.mode === "active" || config.max > 0 || String(config.presence).includes("idle");
  var inputAt = config.mode === "active" ? 0 : Date.now();
  var sharedAt = 0;
  var lastInput = () => inputAt;
  var noteInput = (at) => {
    inputAt = at;
    const isNews = Math.abs(at - sharedAt) > INPUT_INTERVAL;
    if (isNews) {
      sharedAt = at;
      updateRecord({ input: at });
    }
    return isNews;
  };
  var countInput = () => {
  };
  var noteActive = () => countInput();
  var onInput = (event) => {
    const { type, isTrusted, movementX, movementY } = (
      /** @type {PointerEvent} */
      event
    );
    if (isTrusted && (type !== "pointermove" || movementX || movementY)) noteActive();
  };
  var listenForInput = (isIgnored, tick2) => {
    if (!isInputWanted) return;
    countInput = () => !isIgnored() && noteInput(Date.now()) && tick2();
    for (const type of ["pointerdown", "pointermove", "keydown", "wheel"]) addEventListener(type, onInput, true);
  };

  // src/api.js
  var dispatch = (name, detail) => (
    // No element of the page can hide this function.
    dispatchEvent.call(document, new CustomEvent(name, { detail: { ...detail, path }, bubbles: true, cancelable: true }))
  );
  var controller = new AbortController();
  var currentSignal = () => controller.signal;
  var updateSignal = (ended) => {
    if (ended) controller.abort();
    else if (controller.signal.aborted) controller = new AbortController();
  };
  var toldState = "";
  var tellState = (state) => {
    const { gone, end, reason, failing, otherUser } = state;
    const text = [gone, end, reason, failing, otherUser].join();
    if (text !== toldState) dispatch("keepalive:state", state);
    toldState = text;
  };
  var subscribe = (listener, state) => {
    const onState = ({ detail }) => {
      if (detail.path === path) listener(detail);
    };
    addEventListener("keepalive:state", onState);
    listener(state);
    return () => removeEventListener("keepalive:state", onState);
  };
  var guard = Symbol.for(sharedKey);
  var publish = (methods2, runAgain2) => {
    Reflect.set(window, guard, runAgain2);
    if (!window.hasOwnProperty("keepalive")) Reflect.set(window, "keepalive", methods2);
  };
  var runningHere = () => Reflect.get(window, guard);

  // src/tab.js
  var opened = Date.now();
  var tab = {
    /**
     * Whether it takes no part: the server sent the page without a session, so that it waits for keepalive:check, or the page
     * has called keepalive.stop(), or the configuration is wrong.
     */
    stopped: "anonymous" in config,
    /** How often the user has asked to stay, whatever the mode says, and got no answer yet. */
    stay: 0,
    /** This tab wants an answer of its own. */
    look: false,
    opened,
    /**
     * When the user last came back. Until the page is known to come from the server, it asks like one that the user has just
     * come back to.
     */
    woken: opened,
    /** When the network last came back. */
    online: 0
  };
  var decide = () => plan(readRecord(), Date.now(), config, {
    ...tab,
    hidden: page.hidden,
    input: lastInput()
  });
  var takesPart = () => !tab.stopped && !page.prerendering;

  // src/ask.js
  var isAsking = false;
  var claim = async (lock) => {
    if (lock === null) await sleep(LOCK_WAIT);
    const { ask: ask2 } = decide();
    if (ask2) {
      claimRecord();
      await sleep(RECORD_DELAY);
    }
    return isClaimedHere() ? ask2 : "";
  };
  var parseRetryAfter = (header) => Number(header) * SECOND || Date.parse(header) - Date.now();
  var request = async (method, tick2, halt2, isSecond) => {
    const sentAt = Date.now();
    const { stay: forStay, look: forLook } = tab;
    const isFromInput = config.mode === "active" && method === "POST" && !forStay;
    const body = isFromInput ? "inactive=" + (sentAt - decide().input) : void 0;
    const response = await fetch(pingURL, {
      method,
      body,
      redirect: "manual",
      signal: AbortSignal.timeout?.(requestTimeout(decide().end - sentAt))
    }).catch(() => void 0);
    const answer = await response?.json().catch(() => null);
    const status = response?.status;
    const isOurs = response?.headers.has("keepalive");
    if (true) console.debug("keepalive:", method, "answered", status, answer);
    if (status === 401 && isOurs) {
      if (isSecond) {
        tab.stay = 0;
        tab.look = false;
        updateClaimed({ gone: sentAt, user: void 0, fails: 0 });
        return;
      }
      updateClaimed({ claim: Date.now() + 2 * CONFIRM_DELAY });
      await sleep(CONFIRM_DELAY);
      await request(method, tick2, halt2, true);
    } else if (status === 403 && isOurs) {
      halt2("403");
    } else if (status === 200 && answer && answer.idleMs >= 0 && answer.lifetimeMs >= 0) {
      updateClaimed({
        gone: 0,
        // it would count again when a clock that was set back has reached it
        // Not from the time of arrival: the server counted from before that.
        ...answerOf(sentAt, answer.idleMs, sentAt + answer.lifetimeMs),
        ...answer.unknown && { guess: 1 },
        ...method === "POST" && { full: answer.idleMs }
      });
      if (forStay) {
        tab.stay -= forStay;
        noteInput(sentAt);
      }
      const isWantedSince = tab.look && !forLook;
      tick2();
      tab.look = isWantedSince;
      dispatch("keepalive:ping", answer);
    } else {
      updateClaimed({
        failed: Date.now(),
        fails: numberOrZero(readRecord().fails) + 1,
        after: parseRetryAfter(response?.headers.get("retry-after")),
        rand: Math.random()
      });
      tab.fault = isOurs ? void 0 : status;
    }
  };
  var ask = async (tick2, halt2) => {
    if (isAsking) return;
    isAsking = true;
    try {
      const locked = navigator.locks?.request(sharedKey, { ifAvailable: true }, claim);
      const method = await Promise.race([locked, sleep(LOCK_TIMEOUT)]).catch(() => void 0) ?? await claim();
      if (method) await request(method, tick2, halt2);
      tick2();
    } finally {
      await sleep(SECOND);
      isAsking = false;
      tick2();
    }
  };

  // src/blank.js
  var hidePage = (hidden) => {
    if (config.blank) page.documentElement.style.setProperty("display", hidden ? "none" : "", "important");
  };
  var removeContent = () => {
    page.documentElement.replaceChildren();
    hidePage(false);
  };

  // src/loader.js
  var load = async (name) => Reflect.get(window, Symbol.for(endpoint(name))) ?? import(endpoint(name + suffix));
  var dialogs;
  var isLoading = false;
  var attempts = 0;
  var loadedDialogs = () => dialogs;
  var loadDialogs = async (onLoad) => {
    if (dialogs || isLoading) return;
    isLoading = true;
    try {
      dialogs = await load(attempts ? "dialog." + attempts : "dialog");
      onLoad();
    } catch {
      attempts++;
    }
    isLoading = false;
  };
  var extras;
  var updateExtras = async (core) => {
    try {
      extras ?? (extras = load("extras"));
      (await extras).update(core);
    } catch {
    }
  };

  // src/notice.js
  var notice = "";
  var isCancelled = false;
  var isUserAsked = () => (notice === "idle" || notice === "lifetime") && Boolean(isCancelled || loadedDialogs()?.isOpen());
  var isSignedOut = () => notice === "gone";
  var noteSignedOut = () => {
    notice = "gone";
    isCancelled = true;
  };
  var nextNotice = ({ gone, otherUser, end, reason }) => {
    if (gone) return "gone";
    if (otherUser) return "user";
    return end > Date.now() ? reason : notice;
  };
  var dispatchNotice = ({ end, reason }) => {
    if (notice === "gone") return dispatch("keepalive:expired", { reason, ms: 0 });
    if (notice === "user") return dispatch("keepalive:user");
    if (notice) return dispatch("keepalive:warning", { reason: notice, ms: end - Date.now() });
    return dispatch("keepalive:resumed");
  };
  var draw = (step, actions2) => {
    const shown = isCancelled || config.user === "" || !takesPart() ? "" : notice;
    loadedDialogs()?.update({ ...step, notice: shown + (shown === "gone" ? step.reason : ""), pending: tab.stay > 0 }, actions2);
    return shown;
  };
  var announce = (step, actions2) => {
    const { gone } = step;
    const previous = notice;
    notice = nextNotice(step);
    const isNews = notice !== previous;
    if (isNews && gone && config.blank) removeContent();
    updateSignal(gone);
    tellState(step);
    if (isNews) {
      if (previous === "gone") tab.look = true;
      isCancelled = !dispatchNotice(step);
    }
    if (!gone && !tab.look) hidePage(false);
    const shown = draw(step, actions2);
    if (shown || config.warn || actions2.onInput) loadDialogs(actions2.tick);
    if (gone && config.blank && (loadedDialogs() || !shown)) tab.stopped = true;
  };

  // src/pageload.js
  var visit = () => (
    /** @type {PerformanceNavigationTiming} */
    performance.getEntriesByType("navigation")[0] || {}
  );
  var isComeback = ({ type }) => type === "back_forward";
  var requestedAt = (entry) => (
    // 304 counts as the server's: engines report the header's size then, and 0 for a page out of their cache.
    // performance.timeOrigin drifts in a browser that runs for days (w3c/hr-time#115).
    isComeback(entry) || !entry.transferSize || entry.deliveryType || entry.workerStart ? 0 : Date.now() - performance.now() + entry.requestStart
  );

  // src/presence.js
  var tabName = "";
  var reportedPage = "";
  var reportedAt = 0;
  var reportedIdle = 0;
  var hasLeft = false;
  var inputAtStart;
  var inputBefore = 0;
  var send = (name, fields) => {
    const body = new URLSearchParams({ tab: tabName, sent: String(Date.now()), ...fields });
    if ("keepalive" in Request.prototype) fetch(endpoint(name), { method: "POST", body, keepalive: true }).catch(() => {
    });
    else navigator.sendBeacon?.(endpoint(name), body);
  };
  var takeTabName = () => {
    const newName = Math.random().toString(36).slice(2);
    try {
      const name = sessionStorage.getItem(sharedKey) || newName;
      sessionStorage.removeItem(sharedKey);
      return name;
    } catch {
      return newName;
    }
  };
  var leave = () => {
    hasLeft = true;
    if (!tabName) return;
    send("leave");
    try {
      sessionStorage.setItem(sharedKey, tabName);
    } catch {
    }
    tabName = "";
  };
  var reports = (word) => String(config.presence).includes(word);
  var pageToReport = () => {
    if (config.presence === "idle") return "";
    return location.pathname + (reports("query") ? location.search : "") + (reports("hash") ? location.hash : "");
  };
  var idleTime = () => {
    if (!reports("idle")) return 0;
    const inputAt2 = lastInput() === inputAtStart ? inputBefore : lastInput();
    return Math.max(Date.now() - inputAt2, 1);
  };
  var reportPage = () => {
    if (!config.presence || hasLeft) return;
    const page2 = pageToReport();
    const idle = idleTime();
    const isRecent = Math.abs(Date.now() - reportedAt) < Math.min(config.idle / 2, PRESENCE_INTERVAL);
    const isBack = reportedIdle > BACK_AFTER && idle < reportedIdle;
    if (tabName && page2 === reportedPage && isRecent && !isBack) return;
    tabName || (tabName = takeTabName());
    reportedPage = page2;
    reportedAt = Date.now();
    reportedIdle = idle;
    send("here", { page: page2, ...idle && { idle: String(idle) } });
  };
  var forgetReport = () => {
    reportedAt = 0;
  };
  var comeBack = () => {
    hasLeft = false;
  };
  var watchPage = (tick2) => {
    if (inputAtStart === void 0) inputBefore = readRecord().input || Date.now();
    inputAtStart ?? (inputAtStart = lastInput());
    addEventListener("pageshow", comeBack);
    addEventListener("pagehide", leave);
    for (const type of ["popstate", "hashchange"]) addEventListener(type, tick2);
    if (window.hasOwnProperty("navigation")) window.navigation?.addEventListener("currententrychange", tick2);
  };

  // src/main.js
  var timer;
  var tick = () => {
    if (!takesPart()) return;
    try {
      announce(decide(), actions);
      updateExtras(actions);
      if (!isSignedOut()) reportPage();
    } finally {
      const step = decide();
      if (true) console.debug("keepalive:", step.ask || "wait", step.why, step, readRecord());
      if (step.ask && takesPart()) ask(tick, halt);
      clearTimeout(timer);
      if (step.until < Infinity) timer = setTimeout(tick, Math.min(step.until - Date.now(), MAX_SLEEP));
    }
  };
  var wake = () => {
    tab.woken = Date.now();
    tick();
  };
  var onOnline = () => {
    tab.online = Date.now();
    tick();
  };
  var stay = () => {
    tab.stay++;
    wake();
  };
  var look = () => {
    tab.look = true;
    tab.stopped = false;
    tick();
  };
  var check = () => {
    config.user = void 0;
    writeRecord({ input: lastInput() });
    if (true) forgetReport();
    look();
  };
  var stop = () => {
    tab.stopped = true;
    draw(decide(), actions);
  };
  var halt = (reason) => {
    console.error("keepalive stopped:", reason);
    stop();
  };
  var actions = { stay, look, tick, dispatch, guard, onInput: isInputWanted && onInput, config, tab, read: readRecord, update: updateRecord, halt };
  var onPageHide = () => {
    tab.look = true;
    updateClaimed({});
    hidePage(takesPart());
  };
  var onVisibilityChange = () => page.hidden ? tick() : wake();
  var onStorage = ({ key }) => {
    if (key === sharedKey) tick();
  };
  var listen = () => {
    if (config.presence) watchPage(tick);
    addEventListener("pageshow", tick);
    addEventListener("pagehide", onPageHide);
    addEventListener("visibilitychange", onVisibilityChange);
    addEventListener("focus", wake);
    addEventListener("resume", wake);
    addEventListener("online", onOnline);
    addEventListener("prerenderingchange", tick, true);
    addEventListener("keepalive:check", check, true);
    addEventListener("storage", onStorage);
    listenForInput(isUserAsked, tick);
  };
  var countPageLoad = () => {
    tab.sureAt = Date.now();
    const at = Math.min(requestedAt(visit()), tab.opened);
    if (at) {
      saveUser(at);
      if (!("passive" in config)) savePageLoad(at);
      tab.opened = at;
      tab.woken = 0;
    }
    return at;
  };
  var takePageLoad = () => {
    const isCounted = countPageLoad();
    const { gone = 0, at = 0 } = readRecord();
    tab.look = isComeback(visit()) || gone > at;
    hidePage(tab.look);
    if (isCounted) return;
    tab.sureAt = Date.now() + LONGEST_LOAD;
    addEventListener("load", countPageLoad);
  };
  var runAgain = (fresh) => {
    listen();
    if ("anonymous" in fresh) {
      noteSignedOut();
      stop();
    } else {
      if (isSignedOut()) check();
      config.user = fresh.user;
      saveUser(Date.now());
      tick();
    }
  };
  var methods = {
    stay,
    look: check,
    stop,
    active: noteActive,
    /** @param {(state: KeepaliveState) => void} listener */
    subscribe: (listener) => subscribe(listener, decide()),
    get state() {
      return decide();
    },
    get signal() {
      return currentSignal();
    },
    get user() {
      return config.user;
    }
  };
  var start = () => {
    publish(methods, runAgain);
    listen();
    if (tab.stopped) {
      noteSignedOut();
      if (decide().end > Date.now()) writeRecord({});
    } else {
      takePageLoad();
    }
    tick();
  };
  script.remove();
  var running = runningHere();
  if (running) running(config);
  else if (origin !== "null") start();
})();
