import { Empty, useHeading } from '../ui/basics';

export function NotFoundPage() {
  const heading = useHeading('Not found');
  return (
    <div class="is-narrow">
      <h1 ref={heading} tabIndex={-1} class="sr-only">
        Not found
      </h1>
      <Empty title="There is no page at this address" icon="search">
        <p>The link may be old, or a letter is missing.</p>
        <a class="button primary" href="/">
          Go to the fleet
        </a>
      </Empty>
    </div>
  );
}
