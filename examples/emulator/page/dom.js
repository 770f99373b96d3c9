// Making elements, and showing figures. Whatever comes from outside becomes text, never markup.

const SVG = "http://www.w3.org/2000/svg";

function fill(element, attributes, children) {
    for (const [name, value] of Object.entries(attributes)) {
        if (value === true) {
            element.setAttribute(name, "");
        } else if (value !== false && value !== null && value !== undefined) {
            element.setAttribute(name, value);
        }
    }
    // Texts are appended as texts.
    element.append(...children);
    return element;
}

export function el(tag, attributes = {}, ...children) {
    return fill(document.createElement(tag), attributes, children);
}

export function svg(tag, attributes = {}, ...children) {
    return fill(document.createElementNS(SVG, tag), attributes, children);
}

export const byId = (id) => document.getElementById(id);

// Changes a text only if it is another one, so that a screen reader is not told the same twice.
export function say(element, text) {
    if (element.textContent !== text) {
        element.textContent = text;
    }
}

const whole = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });
const brief = new Intl.NumberFormat("en-US", { notation: "compact", maximumFractionDigits: 1 });

export const count = (number) => whole.format(number);
export const short = (number) => (number < 10000 ? count(number) : brief.format(number));
export const records = (number) => `${count(number)} ${number === 1 ? "record" : "records"}`;

// The part of a shard's name that differs from its neighbours'.
export const tag = (shardId) => shardId.slice(shardId.lastIndexOf("-") + 1);

// A time in UTC, as far as it is one that JavaScript can show.
export function utc(ms, from = 0, to = 19) {
    const time = new Date(ms);
    if (Number.isNaN(time.getTime())) {
        return String(ms);
    }
    return time.toISOString().replace("T", " ").slice(from, to);
}

export const calm = () => matchMedia("(prefers-reduced-motion: reduce)").matches;
