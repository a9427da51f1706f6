/**
 * MQTT topic filters (MQTT 3.1.1, section 4.7): + is one level, # the rest, and neither matches a leading $.
 */
export function topicMatches(filter: string, topic: string): boolean {
  if (topic.startsWith("$") && (filter.startsWith("+") || filter.startsWith("#"))) return false;
  const wanted = filter.split("/");
  const levels = topic.split("/");
  for (let at = 0; at < wanted.length; at += 1) {
    const level = wanted[at];
    // "a/#" matches "a" too.
    if (level === "#") return true;
    if (at >= levels.length) return false;
    if (level !== "+" && level !== levels[at]) return false;
  }
  return wanted.length === levels.length;
}
