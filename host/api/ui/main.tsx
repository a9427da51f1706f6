/** The page: which view the address names, around it the state of the connection and of whoever looks. */
import { render } from "preact";
import { useEffect, useState } from "preact/hooks";
import { Device } from "./device.tsx";
import { Fleet } from "./fleet.tsx";
import { Errors, Gateway } from "./gateway.tsx";
import { ApiError, ask, store, useStore } from "./store.ts";

const THEME_KEY = "tardigrade-theme";

function useRoute(): string {
  const [route, setRoute] = useState(location.hash.slice(1) || "/");
  useEffect(() => {
    const changed = (): void => {
      setRoute(location.hash.slice(1) || "/");
      document.querySelector<HTMLElement>("main")?.focus();
    };
    addEventListener("hashchange", changed);
    return () => removeEventListener("hashchange", changed);
  }, []);
  return route;
}

function View({ route }: { readonly route: string }) {
  const device = /^\/device\/([a-z0-9-]+)$/.exec(route)?.[1];
  if (device !== undefined) return <Device id={device} />;
  if (route === "/gateway") return <Gateway />;
  return route === "/errors" ? <Errors /> : <Fleet />;
}

const LINKS = [
  ["/", "Fleet"],
  ["/gateway", "Gateway"],
  ["/errors", "Errors"],
] as const;

function App() {
  const { connection, session, model } = useStore();
  const route = useRoute();
  useEffect(() => {
    const name = LINKS.find(([path]) => path === route)?.[1] ?? route.split("/").at(-1);
    document.title = `${name} – ${model.info?.site ?? "Tardigrade"}`;
  }, [route, model.info?.site]);
  return (
    <>
      <button type="button" class="skip" onClick={skip}>
        Skip to content
      </button>
      <header>
        <strong class="brand">Tardigrade</strong>
        <nav aria-label="Views">
          {LINKS.map(([path, name]) => (
            <a key={path} href={`#${path}`} aria-current={route === path ? "page" : undefined}>
              {name}
            </a>
          ))}
        </nav>
        <span class="grow" />
        <span class={`connection ${connection}`}>{CONNECTIONS[connection]}</span>
        {session?.authentication ? <Who name={session.name} role={session.role} /> : null}
        <button type="button" class="theme" onClick={toggleTheme} aria-label="Light or dark">
          ◐
        </button>
      </header>
      <p role="status" class={connection === "lost" ? "banner" : "hidden"}>
        {connection === "lost"
          ? "The gateway does not answer. What you see may be old; the page goes on by itself when it is back."
          : ""}
      </p>
      <main id="main" tabIndex={-1}>
        {connection === "login" ? <Login /> : <View route={route} />}
      </main>
    </>
  );
}

const CONNECTIONS = {
  connecting: "connecting …",
  live: "live",
  lost: "not connected",
  login: "not logged in",
} as const;

function skip(): void {
  document.querySelector<HTMLElement>("main")?.focus();
}

function Who({ name, role }: { readonly name: string; readonly role: string }) {
  const logOut = (): void => {
    ask("/api/session", { method: "DELETE" }).finally(() => store.lostLogin());
  };
  return (
    <span class="who">
      {name} ({role}){" "}
      <button type="button" onClick={logOut}>
        Log out
      </button>
    </span>
  );
}

function Login() {
  const [told, setTold] = useState("");
  const logIn = async (form: HTMLFormElement): Promise<void> => {
    const fields = new FormData(form);
    const text = (name: string): string => String(fields.get(name) ?? "");
    const body =
      text("user") === "" ? { token: text("secret") } : { user: text("user"), password: text("secret") };
    try {
      await ask("/api/session", { method: "POST", body });
      await store.open();
    } catch (error) {
      setTold(error instanceof ApiError ? error.message : String(error));
    }
  };
  return (
    <form
      class="login"
      onSubmit={(event) => {
        event.preventDefault();
        logIn(event.currentTarget);
      }}
    >
      <h1>Log in</h1>
      <p>
        With name and password, or leave the name empty and give a token. An admin makes both:{" "}
        <code>tardi user add</code>, <code>tardi token add</code>.
      </p>
      <label>
        Name
        <input name="user" autocomplete="username" />
      </label>
      <label>
        Password or token
        <input name="secret" type="password" autocomplete="current-password" required />
      </label>
      <button type="submit">Log in</button>
      <p role="alert" class="told">
        {told}
      </p>
    </form>
  );
}

function toggleTheme(): void {
  const root = document.documentElement;
  const dark =
    root.dataset.theme === undefined
      ? matchMedia("(prefers-color-scheme: dark)").matches
      : root.dataset.theme === "dark";
  root.dataset.theme = dark ? "light" : "dark";
  localStorage.setItem(THEME_KEY, root.dataset.theme);
}

const theme = localStorage.getItem(THEME_KEY);
if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
const root = document.getElementById("app");
if (root !== null) render(<App />, root);
store.start();
