// The readable keepalive script, which logs each decision. It is generated: client/src has the modules and their comments.
(() => {
  // src/times.js
  var SECOND = 1e3;
  var MINUTE = 6e4;
  var MAX_SLEEP = 6e4;
  var SHORTEST_WARNING = 2e4;
  var FRESH = 5e3;
  var ROUNDING = 1e3;
  var LAST_LOOKS = 3e4;
  var CLOCK_TOLERANCE = 12e3;
  var REQUEST_TIMEOUT = 1e4;
  var CLAIM_TIME = 12e3;
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
    document.currentScript
  );
  var data = script.dataset;
  var config = {
    idle: Number(data.idle) || MINUTE,
    mode: (
      /** @type {Config['mode']} */
      data.mode || ""
    ),
    max: Number(data.max) || 0,
    warn: data.warn ? Math.max(Number(data.warn), SHORTEST_WARNING) : 0,
    blank: "blank" in data,
    presence: data.presence || "",
    anonymous: "anonymous" in data
  };
  var folder = new URL(".", script.src);
  var path = folder.pathname;
  var endpoint = (name) => folder.href + name;
  var pingURL = endpoint("ping");
  var sharedKey = "keepalive:" + pingURL;

  // src/plan.js
  var numberOrZero = (value, limit = Infinity) => {
    const number = Number(value);
    return number >= 0 && number < limit ? number : 0;
  };
  var readSituation = (record, now, config2, tab) => {
    const past = (value) => numberOrZero(value, now + CLOCK_TOLERANCE);
    const answeredAt = past(record.at);
    const failedAt = past(record.failed);
    const goneAt = past(record.gone);
    const idleLeft = Math.min(numberOrZero(record.idle), config2.idle);
    const extendedBy = Math.min(Math.max(numberOrZero(record.full), idleLeft), config2.idle);
    const idleEnd = answeredAt + idleLeft;
    const deadline = numberOrZero(record.life) || Infinity;
    const end = Math.min(idleEnd, deadline);
    const isFailing = failedAt > answeredAt;
    const warn = record.guess ? 0 : config2.warn;
    return {
      now,
      config: config2,
      tab,
      answeredAt,
      failedAt,
      goneAt,
      claimedAt: past(record.claim),
      backAt: past(tab.woken),
      inputAt: Math.max(past(record.input), past(tab.input)),
      idleEnd,
      extendedBy,
      deadline,
      end,
      warn,
      warnAt: end - warn,
      isGone: goneAt > answeredAt,
      isFailing,
      failures: numberOrZero(record.fails),
      retryAfter: isFailing ? numberOrZero(record.after) : 0,
      retryJitter: numberOrZero(record.rand) % 1,
      isCapped: deadline - idleEnd < ROUNDING,
      isAsked: Boolean(tab.stay || tab.look),
      // Hidden tabs come last, so that a visible one, whose timers are exact, usually has asked before.
      hiddenDelay: tab.hidden ? extendedBy / 20 : 0
    };
  };
  var isUnattended = (s) => {
    const { mode, max, idle } = s.config;
    if (mode === "active") return !s.inputAt || s.inputAt + idle < s.idleEnd + ROUNDING;
    if (mode === "visible" && s.tab.hidden) return true;
    return max > 0 && s.now - s.inputAt > max;
  };
  var nextPing = (s) => s.idleEnd - s.extendedBy / 2 * (1 + s.tab.rand / 10) + s.hiddenDelay;
  var nextLook = (s) => {
    if (s.answeredAt >= s.warnAt - FRESH) return Math.min(s.end, s.answeredAt + LAST_LOOKS);
    return Math.min(s.end, s.warnAt, s.answeredAt + s.config.idle / 2 + s.hiddenDelay);
  };
  var isUrgent = (s) => s.isAsked || s.config.warn > 0 && s.deadline === Infinity;
  var nextRetry = (s) => {
    const left = s.end > s.failedAt ? s.end - s.failedAt : s.config.idle;
    const backoff = s.retryJitter * Math.min(SECOND * 2 ** s.failures, left / 4);
    const requested = Math.min(s.retryAfter * (1 + s.retryJitter / 10), left / 2);
    return s.failedAt + Math.max(backoff, requested);
  };
  var isBack = (s) => s.backAt > s.failedAt && (s.isAsked || s.backAt - s.answeredAt > FRESH && !s.retryAfter);
  var earliestRequest = (s) => {
    const pause = s.tab.offline ? MAX_SLEEP : SECOND;
    const claimTime = Math.min(CLAIM_TIME, s.config.idle / 4);
    return Math.max(s.answeredAt + pause, s.failedAt + pause, s.claimedAt + claimTime);
  };
  var nearEnd = (s, mayExtend) => {
    const isCertain = s.isFailing || !mayExtend && s.answeredAt >= s.warnAt - FRESH;
    const isNear = s.warn > 0 && s.now >= s.warnAt && isCertain;
    const hasPassed = s.answeredAt > 0 && s.goneAt > s.end - ROUNDING;
    const isKnown = s.isGone ? hasPassed : isNear;
    const kind = s.isCapped ? "lifetime" : "idle";
    return isKnown ? kind : "";
  };
  var plan = (record, now, config2, tab) => {
    const s = readSituation(record || {}, now, config2, tab);
    const mayExtend = !s.isCapped && !isUnattended(s);
    const scheduledAt = mayExtend ? nextPing(s) : nextLook(s);
    const wantedAt = isUrgent(s) ? 0 : scheduledAt;
    const retriedAt = s.isFailing ? Math.max(wantedAt, nextRetry(s)) : wantedAt;
    const desiredAt = isBack(s) ? 0 : retriedAt;
    const dueAt = Math.max(desiredAt, earliestRequest(s));
    const isDue = dueAt <= now;
    const isPingDue = mayExtend && !tab.look && scheduledAt <= now;
    const method = !s.isCapped && (tab.stay || isPingDue) ? "POST" : "GET";
    const step = {
      ask: isDue && !s.isGone ? method : "",
      gone: s.isGone,
      until: isDue ? now + MAX_SLEEP : Math.min(dueAt, s.warnAt > now ? s.warnAt : dueAt),
      end: s.end,
      reason: nearEnd(s, mayExtend),
      failing: s.isFailing,
      input: s.inputAt
    };
    if (true) step.why = explain(s, mayExtend, dueAt > Math.max(desiredAt, now));
    return step;
  };
  var explain = (s, mayExtend, isHeldBack) => {
    if (s.isGone) return "the session is gone";
    const schedule = () => {
      if (s.tab.stay) return "stay";
      if (s.tab.look) return "look";
      if (isBack(s)) return "the user or the network is back";
      if (isUrgent(s)) return "the deadline is unknown";
      if (s.isCapped) return "a ping would gain nothing before the deadline";
      return mayExtend ? "half of the time left" : "the mode or the limit forbids pings now";
    };
    const failures = s.isFailing && !isBack(s) ? ", after failures" : "";
    return schedule() + failures + (isHeldBack ? ", but a tab has just asked" : "");
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
  var savePageLoad = (requestedAt) => {
    const isNews = numberOrZero(readRecord().at) < requestedAt;
    if (!isNews) return false;
    const idle = config.idle - Math.min(config.idle / 20, MINUTE);
    const deadline = numberOrZero(readRecord().life);
    const life = deadline > requestedAt + 2 * idle ? deadline : 0;
    updateRecord({ at: requestedAt, idle, full: idle, guess: 0, life, fails: 0 });
    return true;
  };

  // src/activity.js
  var inputAt = config.mode === "active" ? 0 : Date.now();
  var sharedAt = 0;
  var lastInput = () => inputAt;
  var noteInput = (at) => {
    inputAt = at;
    const isNews = at - sharedAt > INPUT_INTERVAL;
    if (isNews) {
      sharedAt = at;
      updateRecord({ input: at });
    }
    return isNews;
  };
  var isResting = (event) => {
    const { type, movementX, movementY } = (
      /** @type {PointerEvent} */
      event
    );
    return type === "pointermove" && !movementX && !movementY;
  };
  var listenForInput = (isIgnored, onInput) => {
    if (config.mode !== "active" && !config.max && !config.presence.includes("idle")) return;
    const listener = (event) => {
      if (!event.isTrusted || isResting(event) || isIgnored()) return;
      if (noteInput(Date.now())) onInput();
    };
    for (const type of ["pointerdown", "pointermove", "keydown", "wheel"]) addEventListener(type, listener, true);
  };

  // src/api.js
  var dispatch = (name, detail) => document.dispatchEvent(new CustomEvent(name, { detail: { ...detail, path }, bubbles: true, cancelable: true }));
  var guard = Symbol.for(sharedKey);
  var publish = (methods2, runAgain2) => {
    Object.assign(window, { [guard]: runAgain2 });
    if (!window.hasOwnProperty("keepalive")) Object.assign(window, { keepalive: methods2 });
    else console.warn(`keepalive: window.keepalive exists already, so the script of ${path} leaves it alone`);
  };
  var runningIn = (frame) => Reflect.get(frame, guard);

  // src/fault.js
  var reported = "";
  var describe = (status) => {
    if (status === 404) return `404: no endpoints are mounted at ${pingURL}`;
    return `${status || "a redirect"}: something in front of the endpoints answers, such as a proxy, a sign-in page or CSRF middleware`;
  };
  var reportFault = (status) => {
    const fault = describe(status);
    if (status >= 500 || fault === reported) return;
    reported = fault;
    console.warn("keepalive: pings are answered", fault);
  };
  var forgetFault = () => {
    reported = "";
  };

  // src/tab.js
  var jitter = Math.random();
  var stopped = false;
  var anonymous = config.anonymous;
  var backAt = Date.now();
  var stay = false;
  var look = false;
  var decide = () => plan(readRecord(), Date.now(), config, {
    hidden: document.hidden,
    offline: !navigator.onLine,
    woken: backAt,
    input: lastInput(),
    stay,
    look,
    rand: jitter
  });
  var takesPart = () => !stopped && !anonymous && !document.prerendering;
  var stopTab = () => {
    stopped = true;
  };
  var startTab = () => {
    anonymous = stopped = false;
  };
  var awaitSession = () => {
    anonymous = true;
  };
  var noteReturn = () => {
    backAt = Date.now();
  };
  var forgetReturn = () => {
    backAt = 0;
  };
  var wantsStay = () => stay;
  var setStay = (wanted) => {
    stay = wanted;
  };
  var setLook = (wanted) => {
    look = wanted;
  };

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
  var claimWithLock = () => {
    const claimed = navigator.locks?.request(sharedKey, { ifAvailable: true }, claim);
    return Promise.race([claimed, sleep(LOCK_TIMEOUT)]).catch(() => void 0);
  };
  var send = async (method, body) => {
    try {
      const response = await fetch(pingURL, {
        method,
        body,
        redirect: "manual",
        signal: AbortSignal.timeout?.(REQUEST_TIMEOUT)
      });
      const answer = await response.json().catch(() => null);
      return {
        status: response.status,
        isOurs: response.headers.has("keepalive"),
        retryAfter: response.headers.get("retry-after"),
        answer
      };
    } catch {
      return {};
    }
  };
  var saveAnswer = (method, sentAt, { idleMs, lifetimeMs, unknown }) => updateClaimed({
    at: sentAt,
    // not the time of arrival: the server counted from before that
    idle: idleMs,
    guess: unknown ? 1 : 0,
    life: sentAt + lifetimeMs,
    ...method === "POST" && { full: idleMs },
    fails: 0
  });
  var parseRetryAfter = (header) => {
    if (!header) return 0;
    const seconds = Number(header);
    return Number.isNaN(seconds) ? Date.parse(header) - Date.now() : seconds * SECOND;
  };
  var saveFailure = (retryAfter) => updateClaimed({
    failed: Date.now(),
    fails: numberOrZero(readRecord().fails) + 1,
    after: parseRetryAfter(retryAfter),
    rand: Math.random()
  });
  var request = async (method, tick2, halt2, isSecond) => {
    const sentAt = Date.now();
    const forStay = wantsStay();
    const isFromInput = config.mode === "active" && method === "POST" && !forStay;
    const body = isFromInput ? "inactive=" + (sentAt - decide().input) : void 0;
    const { status, isOurs, answer, retryAfter } = await send(method, body);
    if (true) console.debug("keepalive:", method, "answered", status, answer);
    if (status === 401 && isOurs) {
      if (isSecond) {
        setStay(false);
        setLook(false);
        updateClaimed({ gone: sentAt });
        return;
      }
      updateClaimed({ claim: Date.now() + 2 * CONFIRM_DELAY });
      await sleep(CONFIRM_DELAY);
      await request(method, tick2, halt2, true);
    } else if (status === 403 && isOurs) {
      halt2("403");
    } else if (status === 200 && answer && answer.idleMs >= 0 && answer.lifetimeMs >= 0) {
      saveAnswer(method, sentAt, answer);
      forgetFault();
      if (forStay) {
        setStay(false);
        noteInput(sentAt);
      }
      tick2();
      setLook(false);
      dispatch("keepalive:ping", answer);
    } else {
      saveFailure(retryAfter);
      if (status !== void 0 && !isOurs) reportFault(status);
    }
  };
  var ask = async (tick2, halt2) => {
    if (isAsking) return;
    isAsking = true;
    const method = await claimWithLock() ?? await claim();
    if (method) await request(method, tick2, halt2);
    tick2();
    await sleep(SECOND);
    isAsking = false;
    tick2();
  };

  // src/loader.js
  var dialogs;
  var loadedDialogs = () => dialogs;
  var importDialogs = (url) => Reflect.get(window, Symbol.for(url)) ?? import(url);
  var takeDocument = async (page) => {
    const name = page?.documentElement.dataset.script;
    if (!page || !name) return;
    try {
      const module = await importDialogs(endpoint(name));
      module.setDocument(page);
      dialogs = module;
    } catch {
    }
  };
  var loadDialogs = (url, onLoad) => {
    const request2 = new XMLHttpRequest();
    request2.open("GET", url);
    request2.responseType = "document";
    request2.onload = async () => {
      await takeDocument(request2.responseXML);
      if (dialogs) onLoad();
    };
    request2.send();
  };

  // src/notice.js
  var notice = config.anonymous ? "gone" : "";
  var isDialogDue = false;
  var isUserAsked = () => notice !== "" && !isDialogDue;
  var isSignedOut = () => notice === "gone";
  var isDialogOpen = () => Boolean(loadedDialogs()?.isDialogOpen());
  var dismissNotice = () => {
    isDialogDue = false;
    loadedDialogs()?.closeDialog();
  };
  var noteSignedOut = () => {
    notice = "gone";
    dismissNotice();
  };
  var prepareDialogs = (onLoad) => loadDialogs(endpoint("dialog") + "?" + document.documentElement.lang, onLoad);
  var isShownByParent = () => Boolean(frameElement && runningIn(parent));
  var removeContent = () => {
    document.body?.remove();
    document.title = location.host;
  };
  var nextNotice = ({ gone, reason }, ms) => {
    if (gone) return "gone";
    return ms > 0 ? reason : notice;
  };
  var dispatchNotice = ({ gone, reason }, ms) => {
    if (gone) {
      isDialogDue = dispatch("keepalive:expired", { reason, ms: 0 });
      if (isDialogDue && config.blank) removeContent();
    } else if (reason) {
      isDialogDue = dispatch("keepalive:warning", { reason, ms });
    } else {
      dispatch("keepalive:resumed");
    }
    isDialogDue && (isDialogDue = takesPart());
  };
  var drawDialog = ({ gone, reason }, tick2, stay3) => {
    const dialogs2 = loadedDialogs();
    if (!dialogs2) return prepareDialogs(tick2);
    isDialogDue = false;
    dialogs2.openDialog(notice + (gone ? reason : ""), stay3, () => dispatch("keepalive:logout"));
    if (gone && config.blank) stopTab();
  };
  var announce = (step, tick2, stay3) => {
    const ms = step.end - Date.now();
    const previous = notice;
    notice = nextNotice(step, ms);
    if (notice !== previous) {
      dismissNotice();
      if (!notice) setLook(previous === "gone");
      dispatchNotice(step, ms);
    }
    if (isDialogDue && !isShownByParent()) drawDialog(step, tick2, stay3);
    if (isDialogOpen() && !step.gone) loadedDialogs()?.showTimeLeft(ms, step.failing);
  };

  // src/pageload.js
  var visit = () => {
    const [entry] = (
      /** @type {PerformanceNavigationTiming[]} */
      performance.getEntriesByType("navigation")
    );
    return entry;
  };
  var isComeback = () => visit()?.type === "back_forward";
  var pageRequestedAt = () => {
    const entry = visit();
    if (!entry?.transferSize || isComeback() || entry.deliveryType || entry.workerStart) return 0;
    return Date.now() - performance.now() + entry.requestStart;
  };

  // src/presence.js
  var tabName = "";
  var reportedPage = "";
  var reportedAt = 0;
  var reportedIdle = 0;
  var hasLeft = false;
  var inputAtStart = 0;
  var inputBefore = 0;
  var send2 = (name, fields) => {
    const body = new URLSearchParams({ tab: tabName, sent: String(Date.now()), ...fields });
    if ("keepalive" in Request.prototype) fetch(endpoint(name), { method: "POST", body, keepalive: true }).catch(() => {
    });
    else navigator.sendBeacon(endpoint(name), body);
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
    send2("leave");
    try {
      sessionStorage.setItem(sharedKey, tabName);
    } catch {
    }
    tabName = "";
  };
  var reports = (word) => config.presence.includes(word);
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
    const page = pageToReport();
    const idle = idleTime();
    const isRecent = Date.now() - reportedAt < Math.min(config.idle / 2, PRESENCE_INTERVAL);
    const isBack2 = reportedIdle > BACK_AFTER && idle < reportedIdle;
    if (tabName && page === reportedPage && isRecent && !isBack2) return;
    tabName || (tabName = takeTabName());
    reportedPage = page;
    reportedAt = Date.now();
    reportedIdle = idle;
    send2("here", { page, ...idle && { idle: String(idle) } });
  };
  var forgetReport = () => {
    reportedAt = 0;
  };
  var watchPage = (tick2) => {
    inputAtStart = lastInput();
    inputBefore = readRecord().input || Date.now();
    addEventListener("pageshow", () => {
      hasLeft = false;
    });
    addEventListener("pagehide", leave);
    for (const type of ["popstate", "hashchange"]) addEventListener(type, tick2);
    window.navigation?.addEventListener("currententrychange", tick2);
  };

  // src/main.js
  var timer;
  var tick = () => {
    if (!takesPart()) return;
    try {
      announce(decide(), tick, stay2);
    } catch {
    }
    if (!takesPart()) return;
    const step = decide();
    if (true) console.debug("keepalive:", step.ask || "wait", step.why, step, readRecord());
    if (step.gone) return;
    if (true) reportPage();
    if (step.ask) ask(tick, halt);
    clearTimeout(timer);
    timer = setTimeout(tick, Math.min(step.until - Date.now(), isDialogOpen() ? SECOND : MAX_SLEEP));
  };
  var wake = () => {
    noteReturn();
    tick();
  };
  var stay2 = () => {
    setStay(true);
    wake();
  };
  var look2 = () => {
    startTab();
    setLook(true);
    if (true) forgetReport();
    writeRecord({ input: lastInput() });
    tick();
  };
  var stop = () => {
    stopTab();
    dismissNotice();
  };
  var halt = (reason) => {
    console.error("keepalive stopped:", reason);
    stop();
  };
  var listen = () => {
    if (config.presence) watchPage(tick);
    addEventListener("pageshow", (event) => event.persisted ? wake() : tick());
    addEventListener("visibilitychange", () => document.hidden ? tick() : wake());
    for (const type of ["focus", "online", "resume"]) addEventListener(type, wake);
    document.addEventListener("prerenderingchange", tick);
    document.addEventListener("keepalive:check", look2);
    addEventListener("storage", (event) => {
      if (event.key === sharedKey) tick();
    });
    addEventListener("securitypolicyviolation", (event) => {
      if (event.blockedURI === pingURL && event.disposition === "enforce") halt("connect-src");
    });
    listenForInput(isUserAsked, tick);
  };
  var countPageLoad = () => {
    const requestedAt = pageRequestedAt();
    if (requestedAt && savePageLoad(requestedAt)) forgetReturn();
    return requestedAt > 0;
  };
  var takePageLoad = () => {
    if (config.anonymous) {
      if (decide().end > Date.now()) writeRecord({});
    } else if (!countPageLoad()) {
      if (decide().gone && !isComeback()) look2();
      addEventListener("load", () => countPageLoad() && tick());
    }
  };
  var runAgain = (anonymous2) => {
    if (anonymous2) {
      awaitSession();
      noteSignedOut();
    } else if (isSignedOut()) look2();
  };
  var methods = {
    stay: stay2,
    look: look2,
    stop,
    get state() {
      return decide();
    }
  };
  var start = () => {
    publish(methods, runAgain);
    listen();
    takePageLoad();
    if (config.warn) prepareDialogs(tick);
    tick();
  };
  script.remove();
  var running = runningIn(window);
  if (running) running(config.anonymous);
  else start();
})();
