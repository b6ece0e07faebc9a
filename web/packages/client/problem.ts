/** What can go wrong between the page and the server: it said no, or it could not be reached. */

export interface FieldProblem {
  field: string;
  message: string;
  code: string;
}

/** The server answered with problem details. `message` is its sentence for people. */
export class ApiError extends Error {
  override readonly name = "ApiError";

  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly retryable: boolean,
    readonly retryAfter: number | null = null,
    readonly fields: readonly FieldProblem[] = [],
    readonly requestId: string | null = null,
  ) {
    super(message);
  }
}

/** No answer came: offline, refused, cut, or silent for too long. Trying again is always right. */
export class ConnectionLost extends Error {
  override readonly name = "ConnectionLost";
}

/** Read a failed response into an error, whatever its body turns out to be. */
export async function problemOf(response: Response): Promise<ApiError> {
  const body = record(await response.json().catch(() => null));
  const fields = Array.isArray(body.errors) ? body.errors.map(fieldProblem) : [];
  const retryAfter = Number.parseFloat(response.headers.get("Retry-After") ?? "");
  const sentence = fields[0]?.message || text(body.detail) || text(body.title) || response.statusText;
  return new ApiError(
    response.status,
    text(body.code) || `http_${response.status}`,
    sentence,
    typeof body.retryable === "boolean" ? body.retryable : response.status >= 500 || response.status === 429,
    Number.isFinite(retryAfter) ? retryAfter : null,
    fields,
    text(body.requestId) || response.headers.get("X-Request-Id"),
  );
}

function fieldProblem(value: unknown): FieldProblem {
  const field = record(value);
  return { field: text(field.field), message: text(field.message), code: text(field.code) };
}

export function record(value: unknown): Record<string, unknown> {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
}

export function text(value: unknown): string {
  return typeof value === "string" ? value : "";
}
