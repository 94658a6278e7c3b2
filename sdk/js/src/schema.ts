import { SockwardenError } from "./error.js";

type Kind = "object" | "array" | "string" | "number" | "integer" | "boolean" | "null";

/** A part of JSON Schema: what else a schema says is an error rather than overlooked. */
export interface Schema {
  readonly type?: Kind | readonly Kind[];
  readonly properties?: { readonly [name: string]: Schema };
  readonly required?: readonly string[];
  /** Whether an object may have other properties than those named. Default: true. */
  readonly additionalProperties?: boolean;
  readonly items?: Schema;
  readonly enum?: readonly (string | number | boolean | null)[];
  /** For strings, in UTF-16 units. */
  readonly maxLength?: number;
  /** For arrays. */
  readonly maxItems?: number;
  readonly minimum?: number;
  readonly maximum?: number;
}

/** What values a schema passes, where it is written down as a constant. */
export type Described<S> = S extends { enum: readonly (infer V)[] }
  ? V
  : S extends { type: infer K }
    ? OfKind<K extends readonly (infer One)[] ? One : K, S>
    : unknown;

type OfKind<K, S> = K extends "object"
  ? ObjectOf<Member<S, "properties">, Member<S, "required">>
  : K extends "array"
    ? Described<Member<S, "items">>[]
    : K extends keyof Plain
      ? Plain[K]
      : never;

interface Plain {
  string: string;
  number: number;
  integer: number;
  boolean: boolean;
  null: null;
}

type Member<S, N extends string> = S extends { [name in N]: infer M } ? M : undefined;

type ObjectOf<P, R, N = R extends readonly (infer One)[] ? One : never> = {
  -readonly [name in keyof P as name extends N ? name : never]: Described<P[name]>;
} & { -readonly [name in keyof P as name extends N ? never : name]?: Described<P[name]> };

/** What tells whether a value is a T: a guard, an object with `safeParse` or `parse` such as zod's, or a schema. */
export type Validator<T> =
  | ((value: unknown) => value is T)
  | { safeParse(value: unknown): { success: true; data: T } | { success: false } }
  | { parse(value: unknown): T }
  | Schema;

/** Gives the value as it is to be handed out, or nothing. */
export type Check<T> = (value: unknown) => { data: T } | undefined;

type Fields = Record<string, unknown>;

/** Makes one function of any validator. */
export function checker<T>(validator: Validator<T> | undefined): Check<T> {
  if (!validator) return (value) => ({ data: value as T });
  if (typeof validator === "function") return (value) => (validator(value) ? { data: value } : undefined);
  if ("safeParse" in validator) {
    return (value) => {
      const result = validator.safeParse(value);
      return result.success ? { data: result.data } : undefined;
    };
  }
  if ("parse" in validator) return (value) => ({ data: validator.parse(value) });
  const fits = compile(validator);
  return (value) => (fits(value) ? { data: value as T } : undefined);
}

/** One test for each word of a schema. */
const WORDS: { [word: string]: (argument: never) => (value: unknown) => boolean } = {
  type: (kinds: Kind | readonly Kind[]) => {
    const allowed = [kinds].flat();
    return (value) =>
      allowed.includes(kind(value)) || (Number.isInteger(value) && allowed.includes("integer"));
  },
  properties: (properties: { [name: string]: Schema }) => {
    const tests = Object.entries(properties).map(([name, schema]) => [name, compile(schema)] as const);
    return (value) =>
      !isObject(value) || tests.every(([name, fits]) => !Object.hasOwn(value, name) || fits(value[name]));
  },
  required: (names: string[]) => (value) =>
    !isObject(value) || names.every((name) => Object.hasOwn(value, name)),
  items: (schema: Schema) => {
    const fits = compile(schema);
    return (value) => !Array.isArray(value) || value.every(fits);
  },
  enum: (values: unknown[]) => (value) => values.includes(value),
  maxLength: (most: number) => (value) => typeof value !== "string" || value.length <= most,
  maxItems: (most: number) => (value) => !Array.isArray(value) || value.length <= most,
  minimum: (least: number) => (value) => typeof value !== "number" || value >= least,
  maximum: (most: number) => (value) => typeof value !== "number" || value <= most,
};

function compile(schema: Schema): (value: unknown) => boolean {
  const { additionalProperties = true, ...words } = schema;
  const tests = Object.entries(words).map(([word, argument]) => {
    if (!Object.hasOwn(WORDS, word)) {
      throw new SockwardenError("options", `a schema cannot say \`${word}\` here`);
    }
    return WORDS[word]!(argument as never);
  });
  if (!additionalProperties) {
    const known = schema.properties ?? {};
    tests.push((value) => !isObject(value) || Object.keys(value).every((name) => Object.hasOwn(known, name)));
  }
  return (value) => tests.every((fits) => fits(value));
}

function kind(value: unknown): Kind {
  return value === null ? "null" : Array.isArray(value) ? "array" : (typeof value as Kind);
}

function isObject(value: unknown): value is Fields {
  return kind(value) === "object";
}
