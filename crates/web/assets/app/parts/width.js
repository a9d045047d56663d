// The width of an element, which follows the window.
import { useLayoutEffect, useState } from "preact/hooks";

/**
 * @param {{current: HTMLElement | null}} of
 * @returns {number} in pixels; 0 until the element is there
 */
export function useWidth(of) {
  const [width, setWidth] = useState(0);
  useLayoutEffect(() => {
    const element = of.current;
    if (!element) return;
    const observer = new ResizeObserver(() => setWidth(element.clientWidth));
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  return width;
}
