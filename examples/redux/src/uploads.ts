// Owns the uploads of the page: one thunk for each file, whose progress, end and reason are in the store. Files and
// requests cannot be serialised, so they are kept beside it.

import { createAsyncThunk, createEntityAdapter, createSlice, type PayloadAction } from "@reduxjs/toolkit";
import { UploadError, upload, type Limits, type Manifest, type Phase } from "darkroom-web/upload.js";
import { api, token } from "./darkroom";
import type { AppThunk } from "./store";

export interface Upload {
  id: string;
  name: string;
  phase: Phase;
  loaded: number;
  total: number;
  manifest?: Manifest;
  error?: Refusal;
}

interface Refusal {
  code: string;
  message: string;
  phase: "rejected" | "failed";
}

interface Photo {
  file: File;
  limits: Limits;
}

const uploadPhoto = createAsyncThunk<Manifest, Photo, { rejectValue: Refusal }>(
  "uploads/upload",
  async ({ file, limits }, { dispatch, requestId, signal, rejectWithValue }) => {
    try {
      return await upload(file, {
        api,
        token,
        limits,
        signal,
        onProgress: ({ phase, loaded, total }) => dispatch(progressed({ id: requestId, phase, loaded, total })),
      });
    } catch (error) {
      if (!(error instanceof UploadError)) throw error;
      const { code, message, phase } = error;
      return rejectWithValue({ code, message, phase });
    }
  },
);

const adapter = createEntityAdapter<Upload>();

const slice = createSlice({
  name: "uploads",
  initialState: adapter.getInitialState(),
  reducers: {
    progressed(state, { payload }: PayloadAction<Pick<Upload, "id" | "phase" | "loaded" | "total">>) {
      const { id, ...changes } = payload;
      adapter.updateOne(state, { id, changes });
    },
    removed: adapter.removeOne,
  },
  extraReducers: (builder) => {
    builder
      .addCase(uploadPhoto.pending, (state, { meta }) => {
        const { name, size } = meta.arg.file;
        adapter.addOne(state, { id: meta.requestId, name, phase: "preparing", loaded: 0, total: size });
      })
      .addCase(uploadPhoto.fulfilled, (state, { meta, payload }) => {
        adapter.updateOne(state, { id: meta.requestId, changes: { phase: "ready", manifest: payload } });
      })
      .addCase(uploadPhoto.rejected, (state, { meta, payload, error }) => {
        if (meta.aborted) return adapter.removeOne(state, meta.requestId);
        const told = payload ?? { code: "unexpected", message: error.message ?? "", phase: "failed" };
        return adapter.updateOne(state, { id: meta.requestId, changes: { phase: told.phase, error: told } });
      });
  },
});

const { progressed, removed } = slice.actions;
export const uploadsReducer = slice.reducer;
export const { selectAll: selectUploads } = adapter.getSelectors();

const running = new Map<string, Photo & { abort: () => void }>();

export function send(files: Iterable<File>, limits: Limits): AppThunk {
  return (dispatch) => {
    for (const file of files) {
      const { requestId, abort } = dispatch(uploadPhoto({ file, limits }));
      running.set(requestId, { file, limits, abort });
    }
  };
}

/** Ends it if it is running, and takes it off the page. */
export function remove(id: string): AppThunk {
  return (dispatch) => {
    running.get(id)?.abort();
    running.delete(id);
    dispatch(removed(id));
  };
}

/** The same file once more, as a new upload in the old one's place. */
export function retry(id: string): AppThunk {
  return (dispatch) => {
    const photo = running.get(id);
    dispatch(remove(id));
    if (photo) dispatch(send([photo.file], photo.limits));
  };
}
