import { useState } from 'preact/hooks';
import { parseSort, type Sort, writeSort } from '../logic/sort';
import { BUILT_IN_VIEWS, removeView, saveView, type View, views } from '../state/preferences';
import { useStore } from '../state/store';
import { Dialog } from '../ui/dialog';
import { Icon } from '../ui/icons';
import { Menu, MenuItem } from '../ui/menu';
import { toast } from '../ui/toast';

interface ViewsProps {
  query: string;
  sort: Sort;
  onShow: (query: string, sort: Sort) => void;
}

/** Filters and orders that somebody has given a name, kept in this browser. */
export function ViewsMenu({ query, sort, onShow }: ViewsProps) {
  const own = useStore(views);
  const [naming, setNaming] = useState(false);
  const isShown = (view: View) => view.query === query && view.sort === writeSort(sort);
  const item = (view: View, close: () => void) => (
    <MenuItem
      key={view.name}
      checked={isShown(view)}
      onSelect={() => {
        close();
        onShow(view.query, parseSort(view.sort));
      }}
    >
      {view.name}
    </MenuItem>
  );
  return (
    <>
      <Menu
        label="Views"
        class="is-right"
        button={
          <>
            <Icon name="bookmark" />
            <span class="hide-small">Views</span>
            <Icon name="chevron" />
          </>
        }
      >
        {(close) => (
          <>
            {BUILT_IN_VIEWS.map((view) => item(view, close))}
            {own.length > 0 && <hr class="menu-line" />}
            {own.map((view) => item(view, close))}
            <hr class="menu-line" />
            <MenuItem
              onSelect={() => {
                close();
                setNaming(true);
              }}
            >
              <Icon name="plus" />
              Save this view…
            </MenuItem>
            {own.filter(isShown).map((view) => (
              <MenuItem
                key={`remove ${view.name}`}
                onSelect={() => {
                  close();
                  removeView(view.name);
                  toast(`The view “${view.name}” is gone.`, { label: 'Undo', run: () => saveView(view) });
                }}
              >
                <Icon name="close" />
                Forget “{view.name}”
              </MenuItem>
            ))}
          </>
        )}
      </Menu>
      {naming && <NameView query={query} sort={sort} onClose={() => setNaming(false)} />}
    </>
  );
}

function NameView({ query, sort, onClose }: { query: string; sort: Sort; onClose: () => void }) {
  const [name, setName] = useState('');
  const save = (event: Event) => {
    event.preventDefault();
    saveView({ name: name.trim(), query, sort: writeSort(sort) });
    toast(`The view “${name.trim()}” is in the menu, in this browser.`);
    onClose();
  };
  return (
    <Dialog title="Save this view" onClose={onClose}>
      <form onSubmit={save} class="stack">
        <p class="muted">
          Filter <code>{query || 'none'}</code>, ordered by <code>{writeSort(sort)}</code>. To give it to somebody else,
          send the address of the page.
        </p>
        <label class="field">
          <span>Name</span>
          <input
            type="text"
            data-first
            value={name}
            maxLength={60}
            onInput={(event) => setName(event.currentTarget.value)}
          />
        </label>
        <div class="actions">
          <button type="submit" class="button primary" disabled={!name.trim()}>
            Save
          </button>
          <button type="button" class="button" onClick={onClose}>
            Cancel
          </button>
        </div>
      </form>
    </Dialog>
  );
}
