/** MQTT topic filters (OASIS MQTT 3.1.1, section 4.7). */

/** Compiles a filter with + and # into a test. */
export function topicMatcher(filter: string): (topic: string) => boolean {
  const levels = filter.split("/");
  const open = levels.at(-1) === "#";
  const wanted = open ? levels.slice(0, -1) : levels;
  if (!wanted.includes("+")) {
    if (!open) return (topic) => topic === filter;
    const prefix = wanted.join("/");
    return (topic) => prefix === "" || topic === prefix || topic.startsWith(`${prefix}/`);
  }
  return (topic) => {
    let at = 0;
    for (const level of wanted) {
      if (at > topic.length) return false;
      const slash = topic.indexOf("/", at);
      const end = slash < 0 ? topic.length : slash;
      if (level !== "+" && (end - at !== level.length || !topic.startsWith(level, at))) return false;
      at = end + 1;
    }
    // Past the end when the last level was the topic's last.
    return at > topic.length || open;
  };
}
