// What the page of another origin runs: the plain flows, and Uppy's.

import AwsS3 from "@uppy/aws-s3";
import Uppy from "@uppy/core";

import * as plain from "./flows.mjs";

async function uppy(api, token, file, method) {
  let grant;
  const uppy = new Uppy();
  uppy.use(AwsS3, {
    shouldUseMultipart: false,
    signRequest: async ({ contentType }) => {
      grant = await plain.ask(api, token, { method, contentType, contentLength: file.size });
      const { uploadUrl: url, key, headers, fields } = grant;
      return fields ? { url, fields } : { url, key, headers };
    },
  });
  uppy.addFile({ name: file.name, type: file.type, data: file });
  const { failed } = await uppy.upload();
  if (failed.length) throw new Error(failed[0].error);
  return { status: await plain.final(token, grant) };
}

window.flows = {
  ...plain,
  uppyPut: (api, token, file) => uppy(api, token, file, "PUT"),
  uppyForm: (api, token, file) => uppy(api, token, file, "POST"),
};
