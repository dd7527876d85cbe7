/** As much of React as the example uses: this project does not depend on it. */
declare module 'react' {
  export function useEffect(effect: () => (() => void) | undefined, dependencies: readonly unknown[]): void;
  export function useState<T>(initial: T): [T, (next: T | ((before: T) => T)) => void];
}
